/**
 * Loads the native library of this platform, or says plainly why it is missing and what to do.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";

import type * as Native from "../native/index";

export type {
  NativeAgb,
  NativeByteReader,
  NativeByteWriter,
  NativeCancel,
  NativeClearState,
  NativeCodeEvent,
  NativeContextRecord,
  NativeCreateParams,
  NativeDeletion,
  NativeDownload,
  NativeEmulator,
  NativeEmulatorFault,
  NativeExecution,
  NativeExitOptions,
  NativeExtension,
  NativeExtensions,
  NativeFailure,
  NativeFileUrl,
  NativeFindings,
  NativeFoundSession,
  NativeHold,
  NativeHttpClient,
  NativeHttpRecord,
  NativeKeepAliveOptions,
  NativeKeepAliveStatus,
  NativeLent,
  NativeLifecycle,
  NativeLifecycleEvent,
  NativeLifecycleListener,
  NativeMount,
  NativePage,
  NativePush,
  NativePushListener,
  NativeRoute,
  NativeSession,
  NativeSessionPool,
  NativeStartedSync,
  NativeStreamed,
  NativeUpload,
  Outcome,
} from "../native/index";

/** The name that napi-rs gives a build: platform, architecture, and the C library or tool chain. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") return `linux-${arch}-${usesMusl() ? "musl" : "gnu"}`;
  if (platform === "win32") return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

function usesMusl(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report !== undefined && !report.header?.glibcVersionRuntime;
}

function load(): typeof Native {
  const platform = platformName();
  const file = join(__dirname, "..", "native", `agbcloud-native.${platform}.node`);
  const remedy =
    "Build it from source with `npm run build` in the package's repository (needs a Rust toolchain), " +
    "or install a version of the package that carries it.";
  if (!existsSync(file)) {
    throw new Error(`agbcloud-native has no native library for ${platform}: ${file} does not exist. ${remedy}`);
  }
  try {
    return require(file) as typeof Native;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`agbcloud-native could not load its native library for ${platform}: ${reason}. ${remedy}`, {
      cause,
    });
  }
}

export const native = load();
