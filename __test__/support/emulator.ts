/**
 * The emulator behind a spec file: started once on any free port, closed at the end, whatever happened.
 */

import {
  AGB,
  CreateSessionParams,
  type CreateSessionParamsOptions,
  Emulator,
  type EmulatorOptions,
  type EmulatorRequest,
  type EmulatorSession,
  type Session,
  type SessionResult,
} from "agbcloud-native";

/** An image whose sessions get a link URL: tools are called on the link route. */
export const CODE_IMAGE = "agb-code-space-1";

/** An image whose sessions get none: tools are called on the API route. */
export const IMAGE_WITHOUT_LINK = "agb-computer-use-1";

/**
 * Starts an emulator. `AGB_TEST_ISOLATION` (`plain` or `namespace`) forces the isolation, so that the whole suite can be
 * run in both modes.
 */
export function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const forced = process.env.AGB_TEST_ISOLATION;
  if (!forced) return Emulator.start(options);
  return Emulator.start({ isolation: forced as EmulatorOptions["isolation"], ...options });
}

/** A client of an emulator. */
export function clientOf(emulator: Emulator): AGB {
  return new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
}

/** The session of a result, or an error that says why there is none. */
export function sessionOf(result: SessionResult): Session {
  if (!result.success || !result.session) throw new Error(`no session: ${result.errorMessage}`);
  return result.session;
}

/** Runs `work` with an emulator of its own, for what needs other options or must see no other requests. */
export async function withEmulator<T>(
  options: EmulatorOptions,
  work: (emulator: Emulator, agb: AGB) => Promise<T>,
): Promise<T> {
  const emulator = await startEmulator(options);
  try {
    return await work(emulator, clientOf(emulator));
  } finally {
    await emulator.close();
  }
}

/** How often a port is tried; others bind any free port, too. */
const PORTS = 5;

/** Runs `work` with the port of an emulator that was closed, or with another's when somebody else was quicker to take it. */
export async function withFreedPort<T>(work: (port: number) => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    const emulator = await startEmulator();
    await emulator.close();
    try {
      return await work(Number(new URL(emulator.url).port));
    } catch (error) {
      if (tried === PORTS || !/is taken/.test(String(error))) throw error;
    }
  }
}

/** The emulator of a spec file. */
export interface SpecEmulator {
  readonly emulator: Emulator;
  readonly agb: AGB;
  /** Creates a session of the code image, or of what `options` say. */
  create(options?: CreateSessionParamsOptions): Promise<Session>;
  /** How the emulator sees a session; throws when it has forgotten it. */
  view(session: Session | string): EmulatorSession;
  /** The ids of the sessions that run. */
  livingIds(): string[];
  /** The requests that were answered while `work` ran. */
  requestsOf(work: () => Promise<unknown>): Promise<EmulatorRequest[]>;
}

/** Starts an emulator before the tests of this file and closes it after them. */
export function useEmulator(options: EmulatorOptions = {}): SpecEmulator {
  let started: { emulator: Emulator; agb: AGB } | undefined;

  beforeAll(async () => {
    const emulator = await startEmulator(options);
    started = { emulator, agb: clientOf(emulator) };
  }, 60_000);
  afterAll(async () => {
    await started?.emulator.close();
  }, 60_000);

  const running = () => {
    if (!started) throw new Error("the emulator runs only within tests");
    return started;
  };
  return {
    get emulator() {
      return running().emulator;
    },
    get agb() {
      return running().agb;
    },
    async create(params = {}) {
      return sessionOf(await running().agb.create(new CreateSessionParams({ imageId: CODE_IMAGE, ...params })));
    },
    view(session) {
      const id = typeof session === "string" ? session : session.getSessionId();
      const found = running()
        .emulator.sessions()
        .find((candidate) => candidate.id === id);
      if (!found) throw new Error(`the emulator knows no session ${id}`);
      return found;
    },
    livingIds() {
      const living = running()
        .emulator.sessions()
        .filter(({ wireStatus }) => wireStatus === "RUNNING");
      return living.map(({ id }) => id);
    },
    async requestsOf(work) {
      const last = lastSeq(running().emulator);
      await work();
      return running()
        .emulator.journal()
        .filter(({ seq }) => seq > last);
    },
  };
}

/** An emulator of a spec file, and a session of the code image for each test. */
export function useSession(): SpecEmulator & { readonly session: Session } {
  const spec = useEmulator();
  let session: Session | undefined;
  beforeEach(async () => {
    session = await spec.create();
  });
  afterEach(async () => {
    await session?.delete();
  });
  return Object.defineProperty(spec, "session", { get: () => session }) as SpecEmulator & { readonly session: Session };
}

function lastSeq(emulator: Emulator): number {
  return emulator.journal().at(-1)?.seq ?? 0;
}
