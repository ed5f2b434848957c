/** Processes of the bench: the command line with what it took, and children that tell one thing. */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The program that `floodgate` starts. */
const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))

export interface Ended {
  /** Exit code; null if a signal ended the process. */
  readonly code: number | null
  readonly stderr: string
  readonly seconds: number
  readonly cpuSeconds: number
  /** The most memory the process ever had. */
  readonly peakRssBytes: number
}

export interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
}

/** Tells what the process took when it ends, on a channel of its own. */
const meter = `data:text/javascript,${encodeURIComponent(`
  import { writeSync } from "node:fs"
  process.on("exit", () => {
    const { user, system } = process.cpuUsage()
    writeSync(3, JSON.stringify({ cpu: user + system, rss: process.resourceUsage().maxRSS }))
  })
`)}`

/** Starts `floodgate batch` with these arguments against the API at this origin. */
export const start = (origin: string, args: ReadonlyArray<string>): Running => {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ["--import", meter, program, "batch", ...args], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      OPENAI_API_KEY: "sk-bench-key",
      OPENAI_MODEL: "sim-1",
      OPENAI_BASE_URL: `${origin}/v1`
    }
  })
  let stderr = ""
  let took = ""
  child.stderr?.on("data", (text) => {
    stderr += text
  })
  child.stdio[3]?.on("data", (text) => {
    took += text
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => {
      const { cpu, rss } = took === "" ? { cpu: 0, rss: 0 } : JSON.parse(took)
      resolve({
        code,
        stderr,
        seconds: (performance.now() - startedAt) / 1_000,
        cpuSeconds: cpu / 1e6,
        peakRssBytes: rss * 1_024
      })
    })
  })
  return { process: child, ended }
}

/** A module of the bench as a process of its own, until the scope closes. */
export const child = (
  module: string,
  plan: object,
  options: { readonly exec?: ReadonlyArray<string> } = {}
): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      fork(fileURLToPath(new URL(module, import.meta.url)), [JSON.stringify(plan)], {
        execArgv: [...(options.exec ?? [])]
      })
    ),
    (process) => Effect.sync(() => process.kill())
  )

/** The next message of a child, which its module knows the type of. */
export const message = <A>(from: ChildProcess): Effect.Effect<A> =>
  Effect.async((resume) => {
    const exited = (code: number | null) => resume(Effect.dieMessage(`the child ended with ${code}`))
    from.once("exit", exited)
    from.once("message", (value) => {
      from.off("exit", exited)
      resume(Effect.succeed(value as A))
    })
  })
