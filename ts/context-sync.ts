/** A context to mount into a session. Sessions with mounts are not in this version yet; creating one says so. */
export class ContextSync {
  contextId: string;
  path: string;

  constructor(contextId: string, path: string) {
    this.contextId = contextId;
    this.path = path;
  }
}
