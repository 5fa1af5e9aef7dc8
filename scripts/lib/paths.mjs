/** Where things are in the project. */

import { fileURLToPath } from "node:url";

/** The project's directory, without a slash at the end. */
export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");

/** What takes long to get and may be kept between runs: other people's packages, logs, stamps. */
export const cache = `${root}/.cache`;
