// @ts-check

/** A pool: sessions that are ready when work comes, and never more than allowed. */

import { AGB, SessionPool } from "agbcloud-native";

import { show, start, succeeded } from "./support/service.mjs";

const service = await start("A pool of sessions");

const pool = new SessionPool(new AGB(), { params: { imageId: "agb-code-space-1" }, min: 1, max: 2 });
try {
  const numbers = [1, 2, 3, 4, 5, 6];
  const squares = await Promise.all(
    numbers.map((number) =>
      pool.use(async (session) => {
        const run = succeeded(await session.code.run(`print(${number} ** 2)`, "python"));
        return run.logs.stdout.join("").trim();
      }),
    ),
  );
  show("six pieces of work", squares.join(", "));
  const { idle, lent } = pool.stats;
  show("sessions that did it", idle + lent);
} finally {
  await pool.drain();
}

await service.end();
