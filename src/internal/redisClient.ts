/** A connection to Redis (5 or later, or a server that speaks as it does) that fails fast and mends itself. */
import { createHash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { lacksDatabase, redisTrouble, saysNothing } from "./redisTrouble.js"

/** What of a Redis client is used. One of `ioredis` has it, a single one as well as a cluster. */
export interface RedisClient {
  /** Runs a script. */
  readonly eval: (script: string, keys: number, ...args: Array<string>) => Promise<unknown>
  /** Runs a script that the server knows, by its hash. */
  readonly evalsha: (hash: string, keys: number, ...args: Array<string>) => Promise<unknown>
}

export interface ConnectionOptions<E> {
  readonly url: string | Redacted.Redacted<string> | undefined
  readonly client: RedisClient | undefined
  /** How long one answer may take. */
  readonly timeout: Duration.DurationInput
  /** Begins the message of what is missing, such as `A cache in Redis needs`. */
  readonly purpose: string
  /** Makes the error of whoever asks. */
  readonly fail: (message: string) => E
}

/** Runs a script on these keys. */
export type RunScript<E> = (
  keys: ReadonlyArray<string>,
  args: ReadonlyArray<string>
) => Effect.Effect<unknown, E>

export interface Connection<E> {
  /**
   * Runs what needs a connection that may not be there yet: a server that can be reached is waited for, longer than for
   * an answer if need be; one that cannot be is tried for as long as the timeout; one that turns us away, once.
   */
  readonly first: <A>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Takes a script, which is sent once only, and goes by its hash from then on. */
  readonly script: (text: string) => RunScript<E>
}

/** How long a busy machine, a far server or one that is waking up may take to let us in, in milliseconds. */
const patience = 5_000
/** Between two looks at a connection that is not there yet, in milliseconds, and longer the longer it takes. */
const poll = 10

/** The client, where it is, whether it is ready, and what was wrong with it last. */
interface Place {
  readonly client: RedisClient
  readonly name: string
  readonly status: () => string
  readonly lastError: () => unknown
}

/** Connects to the server of a URL, or takes the client at hand. */
export const connect = <E>(options: ConnectionOptions<E>): Effect.Effect<Connection<E>, E, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, fail, purpose } = options
    const url = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
    const timeout = Duration.toMillis(options.timeout)
    if (client !== undefined && url === undefined) return over(given(client), timeout, fail)
    if (client !== undefined || url === undefined) {
      return yield* Effect.fail(fail(`${purpose} either a url or a client`))
    }
    if (!/^(rediss?|unix):\/\/./.test(url)) {
      return yield* Effect.fail(fail("The URL of a Redis server begins with redis:// or rediss://"))
    }
    if (/^rediss?:/.test(url) && !endsWell(url)) {
      return yield* Effect.fail(fail(unreadable))
    }
    return over(yield* open(url, Math.max(timeout, patience), purpose, fail), timeout, fail)
  })

const unreadable =
  "The URL of a Redis server cannot be read: it is redis://user:password@host:port/database, the database a number, and signs such as @ / # in the password as %40 %2F %23"

/** The client takes any other path for a number all the same. */
const endsWell = (url: string): boolean => URL.canParse(url) && /^\/?\d*$/.test(new URL(url).pathname)

/** A client of the user's own: what ails it, only its answers say. */
const given = (client: RedisClient): Place => ({
  client,
  name: "Redis",
  status: () => "ready",
  lastError: () => undefined
})

const open = <E>(url: string, connectTimeout: number, purpose: string, fail: (message: string) => E) =>
  Effect.gen(function* () {
    const { Redis } = yield* Effect.tryPromise({
      // loaded when used: the client is no cost to those who share nothing
      try: () => import("ioredis"),
      catch: () => fail(`${purpose} the package ioredis: install it, such as with npm install ioredis`)
    })
    let lastError: unknown
    const client = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          new Redis(url, {
            // what cannot be sent now fails now
            enableOfflineQueue: false,
            autoResendUnfulfilledCommands: false,
            maxRetriesPerRequest: 0,
            connectTimeout,
            retryStrategy: (times: number) => Math.min(times * 50, 1_000)
          })
            .on("error", (error: Error) => {
              // kept for the messages of the commands that fail by it
              if (!saysNothing(error)) lastError = error
              else lastError ??= error
              // or it would go on in another one
              if (lacksDatabase(error)) client.disconnect()
            })
            .on("ready", () => {
              lastError = undefined
            }),
        // not its message: it may hold the URL, and with it a password
        catch: () => fail(unreadable)
      }),
      (client) => Effect.sync(() => client.disconnect())
    )
    const { host, path, port } = client.options
    const place: Place = {
      client,
      name: `Redis at ${path?.replace(/^\/+/, "/") ?? `${host}:${port}`}`,
      status: () => client.status,
      lastError: () => lastError
    }
    return place
  })

const over = <E>(place: Place, timeout: number, fail: (message: string) => E): Connection<E> => {
  const { client } = place
  const failing = (trouble: string) => fail(`${place.name}: ${trouble}`)
  // Without a connection a command says no more than that; why there is none, the client said before.
  const explained = (cause: unknown) =>
    failing(redisTrouble(place.status() === "ready" ? cause : (place.lastError() ?? cause)).message)

  const longest = Math.max(timeout, patience)

  const ready = (since: number): Effect.Effect<void, E> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const status = place.status()
      if (status === "ready") return Effect.void
      const elapsed = now - since
      const error = place.lastError()
      if (error !== undefined) {
        const { isFinal, message } = redisTrouble(error)
        if (isFinal || elapsed >= timeout) return Effect.fail(failing(message))
      } else if (elapsed >= longest) {
        return Effect.fail(failing(silence(status, longest)))
      }
      return Effect.zipRight(Effect.sleep(Math.min(poll + elapsed / 10, 10 * poll)), ready(since))
    })

  /** A failure is tried again for as long as the timeout; where there was no answer at all, for longer. */
  const patiently = <A>(effect: Effect.Effect<A, E>, since: number): Effect.Effect<A, E> =>
    Effect.flatMap(Clock.currentTimeMillis, (began) =>
      Effect.catchAll(effect, (error) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          now - since < (now - began < timeout ? timeout : longest)
            ? Effect.zipRight(Effect.sleep(poll), patiently(effect, since))
            : Effect.fail(error)
        )
      )
    )

  return {
    first: (effect) =>
      Clock.currentTimeMillis.pipe(
        Effect.flatMap(ready),
        Effect.zipRight(Clock.currentTimeMillis),
        Effect.flatMap((now) => patiently(effect, now))
      ),
    script: (text) => {
      const hash = createHash("sha1").update(text).digest("hex")
      return (keys, args) =>
        Effect.timeoutFail(
          Effect.tryPromise({
            try: () =>
              client.evalsha(hash, keys.length, ...keys, ...args).catch((cause: unknown) => {
                if (!(cause instanceof Error && cause.message.startsWith("NOSCRIPT"))) throw cause
                return client.eval(text, keys.length, ...keys, ...args)
              }),
            catch: explained
          }),
          {
            duration: timeout,
            onTimeout: () =>
              failing(`no answer within ${timeout} ms. The server, or the way to it, is overloaded or gone`)
          }
        )
    }
  }
}

/** The server neither let us in nor turned us away. */
const silence = (status: string, millis: number): string =>
  status === "connect"
    ? `it was silent for ${millis} ms after it took the connection. Is it a Redis server, and does it expect TLS (rediss://)?`
    : `no connection within ${millis} ms. Are host and port right, does a firewall let us through, and is it TLS that it speaks (rediss://) or not?`
