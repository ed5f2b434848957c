/** The processes of the bench over limits: the provider, its clients, and the provider's log. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Simulator from "floodgate/Simulator"
import type { Plan, Result } from "./limitsClient.js"

const child = (module: string, argument: object): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => fork(fileURLToPath(new URL(module, import.meta.url)), [JSON.stringify(argument)])),
    (process) => Effect.sync(() => process.kill())
  )

/** The next message of a child, which its module knows the type of. */
const message = <A>(from: ChildProcess): Effect.Effect<A> =>
  Effect.async((resume) => {
    const exited = (code: number | null) => resume(Effect.dieMessage(`the child ended with ${code}`))
    from.once("exit", exited)
    from.once("message", (value) => {
      from.off("exit", exited)
      resume(Effect.succeed(value as A))
    })
  })

/** A simulator in a process of its own. */
export interface Server {
  /** Base URL for clients. */
  readonly url: string
  /** All requests it has received, the warm-up's not counted, in order of arrival. */
  readonly log: Effect.Effect<ReadonlyArray<Simulator.LogEntry>>
  readonly setLimits: (limits: Simulator.Limits) => Effect.Effect<void>
}

export const startServer = (options: Simulator.Options): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const url = yield* message<string>(yield* child("./limitsServer.js", options))
    const { origin } = new URL(url)
    return {
      url,
      log: Effect.promise(async () => {
        const text = await (await fetch(`${origin}/__log`)).text()
        const log: ReadonlyArray<Simulator.LogEntry> =
          text === ""
            ? []
            : text
                .trimEnd()
                .split("\n")
                .map((line) => JSON.parse(line))
        return log.filter(({ model }) => model !== "warm-up")
      }),
      setLimits: (limits) =>
        Effect.asVoid(
          Effect.promise(() =>
            fetch(`${origin}/__control`, { method: "POST", body: JSON.stringify({ limits }) })
          )
        )
    }
  })

/** Starts a client and gives, once it is ready, what lets it go and waits for its end. */
export const startClient = (plan: Plan): Effect.Effect<Effect.Effect<Result>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const process = yield* child("./limitsClient.js", plan)
    yield* message<"ready">(process)
    return Effect.suspend(() => {
      const result = message<Result>(process)
      process.send("go")
      return result
    })
  })
