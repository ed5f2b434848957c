/**
 * Answers that were paid for, to be had again for nothing; and one call for all who ask the same at once.
 *
 * **Identity.** Two requests are the same question if their keys are equal. The key is the SHA-256 of
 *
 * - the kind of the request, and all of its fields that are or can be sent, as canonical JSON (RFC 8785): model,
 *   messages with the bytes of their images, every parameter, tools, schema, `labels`, `extra`. The order of members
 *   does not matter, and a field left out is not the same as the provider's default written out;
 * - the source of the answers, which is the host of the first endpoint (`local` for this machine) or the `source`
 *   that you give it, such as a tenant; so other ports, paths and credentials of one host share their answers;
 * - the sample asked for (`cache.sample`), where it is not 0: further answers to one question, each kept by itself.
 *
 * Not in the key: `id`, `metadata`, the rest of `cache`, timeouts, retries, limits, credentials. The key has a
 * version, and is the same in every release that has this version. Below it, answers are apart by namespace.
 *
 * **Modes**, of a run (option `cache` of `batch` and `complete`) or of one request (its field `cache.mode`, which
 * comes first, but for a run's `replay`: then nothing is sent, whatever a request says):
 *
 * - `readWrite`, the default: a stored answer is given, a new one is stored.
 * - `bypass`: neither; each request is a call of its own.
 * - `refresh`: asks again, and stores the answer in place of the old one.
 * - `readOnly`: a stored answer is given, a new one is not stored.
 * - `replay`: only stored answers; where there is none the request fails with a `CacheMissError`, and nothing is sent.
 *
 * **What is stored:** complete answers. Never an error, and unless `storeIncomplete` says so no answer that was cut
 * short, filtered or refused, nor is such an answer given from the store.
 *
 * **One call for all.** Equal requests of one mode that are under way at once share one call, which runs until the
 * last who asks has gone. With SQLite and Redis this holds for all processes that share the store: who finds no answer
 * takes a lease on it, and others wait until the answer is stored, or the lease has ended with the call or the process
 * of its holder.
 *
 * Under `refresh` and `readOnly` equal requests share a call only while it is under way: one that comes after its end
 * finds no answer that it may be given, and makes a call of its own. Under `bypass` none is shared.
 *
 * A cache that fails while requests are made is a miss and a warning, never a failed request. One that cannot be
 * opened, such as a file that is no cache or a server that is away, fails the layer, before anything is sent: a
 * mistyped name must not be paid for with every answer once more.
 *
 * @module
 */

import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { CacheStore, type CacheStoreError, type Totals } from "./CacheStore.js"
import * as CacheAnswers from "./internal/cacheAnswers.js"
import * as CacheEntry from "./internal/cacheEntry.js"
import { cacheKey } from "./internal/cacheKey.js"
import { modeOf } from "./internal/cacheMode.js"
import { wellFormed } from "./internal/cacheNamespace.js"
import * as CacheStores from "./internal/cacheStores.js"
import type { RedisClient } from "./internal/redisClient.js"
import { CacheMissError, type LlmError } from "./LlmError.js"
import { type CacheControl, fromInput, type Request, type RequestInput } from "./Request.js"
import type { Response } from "./Response.js"
import { Router } from "./Router.js"

export type { RedisClient } from "./internal/redisClient.js"

/** See the modes above. */
export type Mode = NonNullable<CacheControl["mode"]>

/** Where an answer came from: the store, an equal request that was already under way, or a call of its own. */
export type Origin = "store" | "flight" | "call"

/** An answer, and where it came from. */
export interface Hit {
  readonly response: Response
  readonly origin: Origin
}

/** What a cache has done since it was made. */
export interface Stats {
  /** Answers from the store. */
  readonly hits: number
  /** Look-ups that found none. */
  readonly misses: number
  /** Answers of equal requests that were under way, here or in another process. */
  readonly shared: number
  /** Answers stored. */
  readonly stored: number
  /** Answers not stored, because they were incomplete. */
  readonly refused: number
  /** Times that the store failed, or that a stored answer could not be read. */
  readonly failures: number
}

/** Who asks, and the mode of the run. */
export interface Asking {
  readonly request: Request
  readonly mode?: Mode | undefined
}

/** A cache: what is stored, and what is under way. */
export interface Service {
  /** `false` where nothing is ever stored: then keys need not be made. */
  readonly enabled: boolean
  /**
   * The answer under this key of `cacheKey`: stored, or that of an equal call under way, or the answer of `call`,
   * stored before it is given. `call` runs until its last asker is gone: an interrupted one takes no other down.
   * The request's own `cache` comes before the `mode` of the run, unless that is `replay`.
   */
  readonly getOrCall: <R>(
    key: string,
    call: Effect.Effect<Response, LlmError, R>,
    asking: Asking
  ) => Effect.Effect<Hit, LlmError, R>
  /**
   * The stored answers to many requests, each in its place, in one look at the store. Nobody is waited for and nothing
   * fails: what is not there, cannot be read or must not be read is `undefined`, and is for `getOrCall` to tell.
   */
  readonly recall: (
    asked: ReadonlyArray<Asking & { readonly key: string }>
  ) => Effect.Effect<ReadonlyArray<Response | undefined>>
  readonly stats: Effect.Effect<Stats>
  /** How much is stored. Namespace: default the cache's own, here and below. */
  readonly totals: (namespace?: string) => Effect.Effect<Totals, CacheStoreError>
  /** Forgets the answers under these keys, which outcomes have in `meta.key`. See also {@link invalidate}. */
  readonly invalidate: (
    keys: ReadonlyArray<string>,
    namespace?: string
  ) => Effect.Effect<void, CacheStoreError>
  /** Forgets all answers of the namespace. */
  readonly clear: (namespace?: string) => Effect.Effect<void, CacheStoreError>
}

/** See {@link layerMemory}, {@link layerSqlite}, {@link layerRedis}, {@link layerNone}. */
export class Cache extends Context.Tag("floodgate/Cache")<Cache, Service>() {}

export { isComplete } from "./internal/cacheEntry.js"

/** What all caches have in common. */
export interface Options {
  /** How long an answer may be used once it is stored. Default: for ever. A request may say otherwise. */
  readonly timeToLive?: Duration.DurationInput | undefined
  /** Answers of one namespace are unknown to the others. Default `""`. A request may name another. */
  readonly namespace?: string | undefined
  /** Store answers that were cut short, filtered or refused too, and give them again. Default `false`. */
  readonly storeIncomplete?: boolean | undefined
  /** Keep the request beside its answer, for those who look into the store. Default `false`. */
  readonly storeRequest?: boolean | undefined
  /**
   * How long other processes wait for one that has died while it asked. Default 15 seconds; `false`: processes do
   * not wait for each other, and may ask the same twice.
   */
  readonly lease?: Duration.DurationInput | false | undefined
}

/** A call under way. `again` tells its followers to ask anew: the first asker left before there was a call. */
interface Flight {
  /** Made once somebody waits: for an answer that is stored, mostly nobody does. */
  landing: Deferred.Deferred<Response | "again", LlmError> | undefined
  askers: number
  fiber: Fiber.Fiber<void> | undefined
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const defaultLease: Duration.DurationInput = "15 seconds"

/** The cache's policy over any store. */
export const make = (options: Options = {}): Effect.Effect<Service, never, CacheStore | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* CacheStore
    const scope = yield* Effect.scope
    const ownNamespace = wellFormed(options.namespace ?? "")
    const timeToLive = Duration.toMillis(options.timeToLive ?? Duration.infinity)
    const storable = options.storeIncomplete === true ? CacheEntry.isAnswer : CacheEntry.isComplete
    const flights = new Map<string, Flight>()
    const counts = { hits: 0, misses: 0, shared: 0, stored: 0, refused: 0, failures: 0 }
    const answers = yield* CacheAnswers.make(store, {
      accepts: storable,
      lease:
        options.lease === false ? undefined : Math.max(1, Duration.toMillis(options.lease ?? defaultLease)),
      onFailure: () => {
        counts.failures++
      }
    })

    const namespaceOf = ({ cache }: Request): string =>
      cache?.namespace === undefined ? ownNamespace : wellFormed(cache.namespace)

    const find = (question: CacheAnswers.Question) =>
      Effect.map(answers.find(question), (found) => {
        if (found === undefined) counts.misses++
        else if (found.waited) counts.shared++
        else counts.hits++
        return found?.response
      })

    /** Stores what is to be stored, and lets go of the lease. */
    const conclude = (
      question: CacheAnswers.Question,
      request: Request,
      response: Response
    ): Effect.Effect<void> => {
      if (!storable(response)) {
        counts.refused++
        return answers.release(question)
      }
      const given = request.cache?.timeToLive
      const value = CacheEntry.encode(response, options.storeRequest === true ? request : undefined)
      return Effect.flatMap(
        answers.keep(question, value, given === undefined ? timeToLive : Duration.toMillis(given)),
        (stored) => {
          if (!stored) return answers.release(question)
          counts.stored++
          return Effect.void
        }
      )
    }

    const land = (id: string, flight: Flight, exit: Exit.Exit<Response | "again", LlmError>) =>
      Effect.sync(() => {
        if (flights.get(id) === flight) flights.delete(id)
        if (flight.landing !== undefined) Deferred.unsafeDone(flight.landing, exit)
      })

    const wait = (id: string, flight: Flight, restore: Restore) => {
      flight.landing ??= Deferred.unsafeMake(FiberId.none)
      return Effect.onInterrupt(restore(Deferred.await(flight.landing)), () =>
        Effect.suspend(() => {
          flight.askers--
          if (flight.askers > 0 || flight.fiber === undefined) return Effect.void
          if (flights.get(id) === flight) flights.delete(id)
          return Fiber.interrupt(flight.fiber)
        })
      )
    }

    /** Is not to be interrupted but where it says `restore`: others wait for this flight. */
    const lead = <R>(
      id: string,
      flight: Flight,
      question: CacheAnswers.Question,
      mode: Mode,
      request: Request,
      call: Effect.Effect<Response, LlmError, R>,
      restore: Restore
    ): Effect.Effect<Hit, LlmError, R> =>
      Effect.matchCauseEffect(mode === "refresh" ? Effect.succeed(undefined) : restore(find(question)), {
        onFailure: (cause) =>
          answers
            .abandon(question)
            .pipe(
              Effect.zipRight(land(id, flight, Exit.succeed("again"))),
              Effect.zipRight(Effect.failCause(cause))
            ),
        onSuccess: (stored) => {
          if (stored !== undefined) {
            return Effect.as(land(id, flight, Exit.succeed(stored)), hit(stored, "store"))
          }
          // what has been paid for is stored, also if the last asker leaves meanwhile
          const concluded =
            mode === "readOnly"
              ? Effect.interruptible(call)
              : Effect.matchCauseEffect(Effect.interruptible(call), {
                  onFailure: (cause) =>
                    Effect.zipRight(
                      Cause.isInterrupted(cause) ? answers.abandon(question) : answers.release(question),
                      Effect.failCause(cause)
                    ),
                  onSuccess: (response) => Effect.as(conclude(question, request, response), response)
                })
          const flown = Effect.flatMap(Effect.exit(concluded), (exit) => land(id, flight, exit))
          const landing = wait(id, flight, restore)
          return Effect.flatMap(Effect.forkIn(flown, scope), (fiber) => {
            flight.fiber = fiber
            return Effect.flatMap(landing, (response) =>
              // only a leader that leaves before its call says "again", and this one has made its call
              response === "again" ? Effect.interrupt : Effect.succeed(hit(response, "call"))
            )
          })
        }
      })

    const getOrCall: Service["getOrCall"] = (key, call, asking) =>
      Effect.suspend(() => {
        const mode = modeOf(asking.request, asking.mode)
        if (mode === "bypass") return Effect.map(call, (response) => hit(response, "call"))
        const namespace = namespaceOf(asking.request)
        const question: CacheAnswers.Question = {
          namespace,
          key,
          leases: mode === "readWrite",
          leased: false,
          abandoned: false
        }
        if (mode === "replay") {
          return Effect.flatMap(find(question), (stored) =>
            stored === undefined ? notStored(key) : Effect.succeed(hit(stored, "store"))
          )
        }
        const id = mode === "readWrite" && namespace === "" ? key : `${mode}/${namespace}/${key}`
        // from the look at the flights on: whoever left in between would leave a flight that never lands
        return Effect.uninterruptibleMask((restore) => {
          const under = flights.get(id)
          if (under !== undefined) {
            under.askers++
            return Effect.flatMap(wait(id, under, restore), (response) => {
              if (response === "again") return restore(getOrCall(key, call, asking))
              counts.shared++
              return Effect.succeed(hit(response, "flight"))
            })
          }
          const flight: Flight = { landing: undefined, askers: 1, fiber: undefined }
          flights.set(id, flight)
          return lead(id, flight, question, mode, asking.request, call, restore)
        })
      })

    const recall: Service["recall"] = (asked) =>
      Effect.suspend(() => {
        const places: Array<number> = []
        const questions = asked.flatMap(({ key, mode, request }, place) => {
          if (!reads(modeOf(request, mode))) return []
          places.push(place)
          return [{ namespace: namespaceOf(request), key }]
        })
        return Effect.map(answers.recall(questions), (responses) => {
          const found = new Array<Response | undefined>(asked.length).fill(undefined)
          for (const [i, response] of responses.entries()) {
            if (response === undefined) continue
            counts.hits++
            found[places[i] as number] = response
          }
          return found
        })
      })

    return {
      enabled: true,
      getOrCall,
      recall,
      stats: Effect.sync(() => ({ ...counts })),
      totals: (namespace = ownNamespace) => store.totals(wellFormed(namespace)),
      invalidate: (keys, namespace = ownNamespace) => store.remove(wellFormed(namespace), keys),
      clear: (namespace = ownNamespace) => store.remove(wellFormed(namespace), "all")
    }
  })

/** Whether a stored answer is given in this mode. */
const reads = (mode: Mode): boolean => mode !== "bypass" && mode !== "refresh"

const hit = (response: Response, origin: Origin): Hit => ({ response, origin })

const notStored = (key: string) =>
  Effect.fail(
    new CacheMissError({
      provider: "floodgate",
      message: `No stored answer (key ${key}), and the cache mode replay sends nothing`
    })
  )

/**
 * Forgets the answer to this request, with the sample and the namespace that it names.
 *
 * @example
 * import { Cache, Chat } from "floodgate"
 *
 * const forget = Cache.invalidate(Chat.prompt("Why is the sky blue?"))
 */
export const invalidate = (
  input: RequestInput
): Effect.Effect<void, LlmError | CacheStoreError, Cache | Router> =>
  Effect.gen(function* () {
    const cache = yield* Cache
    const router = yield* Router
    const resolved = yield* router.resolve(yield* fromInput(input))
    yield* cache.invalidate([cacheKey(resolved)], resolved.request.cache?.namespace)
  })

/** The cache over the {@link CacheStore} that is provided. */
export const layer = (options: Options = {}): Layer.Layer<Cache, never, CacheStore> =>
  Layer.scoped(Cache, make(options))

/** What {@link layerMemory} takes. */
export interface MemoryOptions extends Omit<Options, "lease"> {
  /** The most answers kept. Default 10,000. */
  readonly capacity?: number | undefined
}

/**
 * Answers kept in memory, for as long as the layer lives. Past `capacity` the one that was not asked for the longest
 * makes room.
 */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<Cache> =>
  Layer.provide(layer(options), CacheStores.memory(options.capacity ?? 10_000))

/** What {@link layerSqlite} takes. */
export interface SqliteOptions extends Options {
  /** The file; folders on the way are made. `":memory:"` for none. */
  readonly filename: string
  /** The most answers that the file holds, of all namespaces. Default: no bound. */
  readonly maxEntries?: number | undefined
  /** The most bytes of answers that the file holds, of all namespaces. Default: no bound. */
  readonly maxBytes?: number | undefined
}

/**
 * Answers kept in a SQLite file, which several processes may use at once. Past a bound what has expired makes room,
 * then what was stored first. A file of an earlier version is brought up to date. Fails if the file cannot be opened,
 * or is not a cache that this version knows.
 */
export const layerSqlite = (options: SqliteOptions): Layer.Layer<Cache, CacheStoreError> =>
  Layer.provide(layer(options), CacheStores.sqlite(options))

/** What {@link layerRedis} takes: a `url` or a `client`. */
export interface RedisOptions extends Options {
  /** `redis://user:password@host:port/db`, or `rediss://` for TLS. Needs the package `ioredis`. */
  readonly url?: string | Redacted.Redacted<string> | undefined
  /** A client of `ioredis`, single or cluster, which stays yours to close. */
  readonly client?: RedisClient | undefined
  /** What the keys begin with. Default `"floodgate:"`. */
  readonly prefix?: string | undefined
  /** How long one exchange with the server may take. Default 2 seconds; to connect, at least 5 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * Answers kept in Redis (5 or later), for all processes that use the same server and prefix. Expiry is the server's,
 * and so is its bound (`maxmemory`, with the policy `allkeys-lru`). A namespace is one hash slot of a cluster. Fails
 * if the server cannot be reached at the start; later that is a miss.
 */
export const layerRedis = (options: RedisOptions): Layer.Layer<Cache, CacheStoreError> =>
  Layer.provide(layer(options), CacheStores.redis(options))

const nothingDone: Stats = { hits: 0, misses: 0, shared: 0, stored: 0, refused: 0, failures: 0 }

/** No cache: every request is a call of its own, also of two equal ones. In the mode `replay` all are missing. */
export const layerNone: Layer.Layer<Cache> = Layer.succeed(Cache, {
  enabled: false,
  getOrCall: (key, call, { mode, request }) =>
    modeOf(request, mode) === "replay"
      ? notStored(key)
      : Effect.map(call, (response) => hit(response, "call")),
  recall: (asked) => Effect.succeed(asked.map(() => undefined)),
  stats: Effect.succeed(nothingDone),
  totals: () => Effect.succeed({ entries: 0, bytes: 0 }),
  invalidate: () => Effect.void,
  clear: () => Effect.void
})
