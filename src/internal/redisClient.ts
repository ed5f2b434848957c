/** A connection to Redis (5 or later, or a server that speaks as it does) that fails fast and mends itself. */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What of a Redis client is used. One of `ioredis` has it, a single one as well as a cluster. */
export interface RedisClient {
  /** Runs a script. */
  readonly eval: (script: string, keys: number, ...args: Array<string>) => Promise<unknown>
  /** Runs a script that the server knows, by its hash. */
  readonly evalsha: (hash: string, keys: number, ...args: Array<string>) => Promise<unknown>
}

// Only the message: the error of a client may hold the command, and with it a password.
const messageOf = (cause: unknown): string =>
  `Redis: ${cause instanceof Error ? cause.message : String(cause)}`

/** Connects to this server. `fail` makes the error of whoever asks; `purpose` begins its message. */
export const connect = <E>(
  url: string,
  options: { readonly timeout: number; readonly purpose: string; readonly fail: (message: string) => E }
): Effect.Effect<RedisClient, E, Scope.Scope> =>
  Effect.gen(function* () {
    const { Redis } = yield* Effect.tryPromise({
      // loaded when used: the client is no cost to those who share nothing
      try: () => import("ioredis"),
      catch: () =>
        options.fail(
          `${options.purpose} in Redis needs the package ioredis: install it, such as with npm install ioredis`
        )
    })
    if (!/^(rediss?|unix):\/\/./.test(url)) {
      return yield* Effect.fail(options.fail("The URL of a Redis server begins with redis:// or rediss://"))
    }
    return yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          const client = new Redis(url, {
            // what cannot be sent now fails now
            enableOfflineQueue: false,
            autoResendUnfulfilledCommands: false,
            maxRetriesPerRequest: 0,
            connectTimeout: options.timeout,
            retryStrategy: (times: number) => Math.min(times * 50, 1_000)
          })
          // each command that fails says so itself
          client.on("error", () => {})
          return client
        },
        catch: (cause) => options.fail(messageOf(cause))
      }),
      (client) => Effect.sync(() => client.disconnect())
    )
  })

/** Runs a script by its hash, which sends it once only. */
export const makeScript = <E>(
  client: RedisClient,
  script: string,
  options: { readonly timeout: number; readonly fail: (message: string) => E }
): ((keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => Effect.Effect<unknown, E>) => {
  const hash = createHash("sha1").update(script).digest("hex")
  return (keys, args) =>
    Effect.timeoutFail(
      Effect.tryPromise({
        try: () =>
          client.evalsha(hash, keys.length, ...keys, ...args).catch((cause: unknown) => {
            if (!(cause instanceof Error && cause.message.startsWith("NOSCRIPT"))) throw cause
            return client.eval(script, keys.length, ...keys, ...args)
          }),
        catch: (cause) => options.fail(messageOf(cause))
      }),
      {
        duration: options.timeout,
        onTimeout: () => options.fail(`Redis: no answer within ${options.timeout} ms`)
      }
    )
}
