/** The public types as programs use them. Nothing here runs: `tsc -p __test__` is the test. */

import {
  AGB,
  type AGBError,
  APIError,
  AuthenticationError,
  type BaseService,
  type BinaryFileContentResult,
  type BoolResult,
  type Client,
  type Code,
  type Command,
  type CommandResult,
  CreateSessionParams,
  type DeleteResult,
  Emulator,
  type EmulatorFault,
  type EmulatorFaultHandle,
  type EmulatorIsolation,
  type EmulatorSession,
  type EnhancedCodeExecutionResult,
  type FileContentResult,
  type FileSystem,
  GetLabelRequest,
  type GetLabelResponse,
  type HTTPClient,
  type HttpResponse,
  LogLevel,
  type OperationResult,
  type PushListener,
  type PushMessage,
  type Session,
  SessionError,
  type SessionLike,
  type SessionListResult,
  type SessionResult,
  setLogLevel,
  VERSION,
  WsError,
} from "agbcloud-native";

/** Compiles only when both types are the same, not merely assignable. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<_T extends true>(): void {}

/** Every form of the constructor that callers use. */
export const clients: AGB[] = [
  new AGB(),
  new AGB({}),
  new AGB({ apiKey: "key" }),
  new AGB({ apiKey: "key", config: { endpoint: "http://127.0.0.1:1", timeoutMs: 1_000 } }),
];
// @ts-expect-error: an option that doesn't exist
new AGB({ key: "key" });

export async function lifecycle(agb: AGB): Promise<void> {
  const created = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 300 }));
  same<Same<typeof created, SessionResult>>();
  same<Same<typeof created.session, Session | null | undefined>>();
  // @ts-expect-error: under strictNullChecks the session must be looked at first
  created.session.keepAlive();
  if (!created.session) return;

  const { session } = created;
  same<Same<typeof session.code, Code>>();
  same<Same<typeof session.command, Command>>();
  same<Same<typeof session.file, FileSystem>>();
  const like: SessionLike = session;
  const service: BaseService = session.code;
  void [like, service];

  const alive: OperationResult = await session.keepAlive();
  const deleted: DeleteResult = await agb.delete(session);
  const listed: SessionListResult = await agb.list({ project: "x" }, 1, 10);
  same<Same<typeof alive.success, boolean>>();
  same<Same<typeof deleted.errorMessage, string | undefined>>();
  same<Same<typeof listed.sessionIds, string[]>>();
  // @ts-expect-error: labels are texts
  await agb.list({ project: 1 });
}

export async function pushes(session: Session, emulator: Emulator): Promise<void> {
  const listener = await session.onPush("news", ({ target, data }) => void [target, data.text]);
  same<Same<typeof listener, PushListener>>();
  same<Same<Parameters<typeof session.onPush>[1], (message: PushMessage) => unknown>>();
  const clients: number = emulator.push(session.getSessionId(), "news", { text: "hello" });
  void clients;
  listener.close();
}

export async function tools(session: Session): Promise<void> {
  const run: EnhancedCodeExecutionResult = await session.code.run("1", "python", 60);
  same<Same<typeof run.success, boolean>>();
  same<Same<typeof run.logs.stdout, string[]>>();
  const command: CommandResult = await session.command.execute("ls", 1_000, "/tmp", { NAME: "value" });
  same<Same<typeof command.output, string>>();
  // @ts-expect-error: the command is missing
  await session.command.execute();

  // What is read depends on the format.
  const text = await session.file.readFile("/tmp/a");
  same<Same<typeof text, FileContentResult>>();
  same<Same<typeof text.content, string>>();
  const bytes = await session.file.readFile("/tmp/a", { format: "bytes" });
  same<Same<typeof bytes, BinaryFileContentResult>>();
  const written: BoolResult = await session.file.writeFile("/tmp/a", "text", "append");
  void written;
  // @ts-expect-error: no such mode
  await session.file.writeFile("/tmp/a", "text", "replace");
}

/** More than the reference has is optional: code that was written for the reference makes such results itself. */
export function failureDetails(result: OperationResult): [string | undefined, number | undefined, boolean | undefined] {
  const made: OperationResult = { requestId: "", success: true };
  void made;
  return [result.code, result.httpStatusCode, result.retryable];
}

export function errors(error: unknown): string {
  if (error instanceof APIError) same<Same<typeof error.statusCode, number | undefined>>();
  if (error instanceof AuthenticationError || error instanceof SessionError) {
    const base: AGBError = error;
    return base.message;
  }
  const [lost, gone]: [WsError?, SessionError?] = [new WsError("lost"), new SessionError("gone")];
  if (lost || gone) return String(lost ?? gone);
  return error instanceof Error ? error.message : VERSION;
}

export async function lowLevel(client: Client, http: HTTPClient): Promise<HttpResponse> {
  const response = await client.getLabel(new GetLabelRequest({ authorization: "Bearer key", sessionId: "s" }));
  same<Same<typeof response, GetLabelResponse>>();
  const message: string = response.getErrorMessage();
  void message;
  // Code for the reference, which exports no request classes, brings objects of its own.
  await client.getLink({
    authorization: "Bearer key",
    sessionId: "s",
    getBody: () => ({}),
    getParams: () => ({ a: 1 }),
  });
  // @ts-expect-error: a request says who asks
  new GetLabelRequest({ sessionId: "s" });
  // @ts-expect-error: the method and the path are what a request can't do without
  await http.makeRequest({ method: "GET" });
  return http.makeRequest({ method: "GET", endpoint: "/x", params: { a: 1 }, readTimeout: 1_000 });
}

export async function emulator(): Promise<EmulatorSession[]> {
  await using started = await Emulator.start({ isolation: "plain", seed: 1 });
  same<Same<typeof started.isolation, EmulatorIsolation>>();
  same<Same<typeof started.env, { AGB_ENDPOINT: string; AGB_API_KEY: string }>>();
  await started.advance(1_000);
  started.expectNoLiveSessions();
  setLogLevel(LogLevel.WARN);
  const handle: EmulatorFaultHandle = started.faults.add({ operation: "callTool", kind: "reset", when: "after" });
  same<Same<typeof handle.hits, number>>();
  const kinds: EmulatorFault[] = [
    { operation: ["getSession", "*"], kind: "status", status: 429, retryAfter: 1, count: Infinity },
    { operation: "getObject", kind: "slow", bytesPerSecond: 10, labels: { a: "b" } },
  ];
  void kinds;
  // @ts-expect-error: an operation that doesn't exist
  started.faults.add({ operation: "callTol", kind: "reset" });
  // @ts-expect-error: a member of another kind
  started.faults.add({ operation: "callTool", kind: "reset", status: 500 });
  // @ts-expect-error: the status is missing
  started.faults.add({ operation: "callTool", kind: "status" });
  // @ts-expect-error: an emulator is started, not made
  new Emulator();
  return started.sessions();
}
