/**
 * Answers that were paid for, to be had again for nothing; and one call for all who ask the same at once.
 *
 * Only complete answers are kept: no error, no answer cut short, no refusal. A cache that fails is a miss and a
 * warning, never a failed request.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CacheStore, CacheStoreError } from "./CacheStore.js"
import { makeMemoryStore } from "./internal/cacheStoreMemory.js"
import { coalesce } from "./internal/coalesce.js"
import type { LlmError } from "./LlmError.js"
import { ChatResponse, type Response } from "./Response.js"

/** Where an answer came from: the store, an equal request that was already under way, or a call of its own. */
export type Origin = "store" | "flight" | "call"

export interface Hit {
  readonly response: Response
  readonly origin: Origin
}

export interface Service {
  /** `false` where nothing is ever stored: then keys need not be made. */
  readonly enabled: boolean
  /**
   * The answer under this key: stored, or that of an equal call under way, or the answer of `call`, stored
   * before it is given. `call` runs until its last asker is gone: an interrupted one takes no other down.
   */
  readonly getOrCall: <R>(
    key: string,
    call: Effect.Effect<Response, LlmError, R>
  ) => Effect.Effect<Hit, LlmError, R>
}

/** See {@link layerMemory}, {@link layerSqlite}, {@link layerNone}. */
export class Cache extends Context.Tag("floodgate/Cache")<Cache, Service>() {}

/** Whether an answer is whole and willing, so that asking again would buy nothing better. */
export const isComplete = (response: Response): boolean =>
  (response.finishReason === "stop" || response.finishReason === "tool_calls") &&
  response.refusal === undefined

// `meta` tells of one asking; it is not part of the answer
const Stored = Schema.Struct({
  version: Schema.Literal(1),
  response: Schema.encodedSchema(ChatResponse.pipe(Schema.omit("meta")))
})
const decodeStored = Schema.decodeUnknownEither(Stored)

const encode = (response: Response): string => {
  const { meta: _, ...stored } = response
  return JSON.stringify({ version: 1, response: stored })
}

const storeError = (cause: Cause.Cause<CacheStoreError>): CacheStoreError => {
  const error = Cause.squash(cause)
  return error instanceof CacheStoreError
    ? error
    : new CacheStoreError({ message: `the store failed: ${String(error)}`, cause: error })
}

const decode = (value: string): Either.Either<Response, CacheStoreError> =>
  Either.try({
    try: (): unknown => JSON.parse(value),
    catch: () => new CacheStoreError({ message: "a stored answer is not JSON" })
  }).pipe(
    Either.flatMap((json) =>
      Either.mapLeft(
        decodeStored(json),
        (cause) => new CacheStoreError({ message: "a stored answer has another format", cause })
      )
    ),
    Either.map(
      ({ response }) =>
        new ChatResponse(
          { ...response, meta: { attempts: 0, cached: true, latencyMs: 0 } },
          { disableValidation: true }
        )
    )
  )

/** A call under way. `again` tells its followers to ask anew: the first asker left before there was a call. */
interface Flight {
  readonly landing: Deferred.Deferred<Response | "again", LlmError>
  askers: number
  fiber: Fiber.Fiber<void> | undefined
}

/** The cache's policy over any store. */
export const make: Effect.Effect<Service, never, CacheStore | Scope.Scope> = Effect.gen(function* () {
  const store = yield* CacheStore
  const scope = yield* Effect.scope
  const flights = new Map<string, Flight>()
  let warned = false

  const warn = (error: CacheStoreError) =>
    Effect.suspend(() => {
      if (warned) return Effect.void
      warned = true
      return Effect.logWarning(`Cache: ${error.message}. The run goes on without it`)
    })

  const get = yield* coalesce(
    (keys: ReadonlyArray<string>) =>
      Effect.map(store.getMany(keys), (found) => keys.map((key) => found.get(key))),
    { most: 100 }
  )
  const set = yield* coalesce(
    (entries: ReadonlyArray<{ readonly key: string; readonly value: string }>) =>
      Effect.as(store.setMany(entries), new Array<void>(entries.length)),
    { most: 200 }
  )

  const lookUp = (key: string): Effect.Effect<Response | undefined> =>
    Effect.matchCauseEffect(get(key), {
      onSuccess: (value) => {
        if (value === undefined) return Effect.succeed(undefined)
        const decoded = decode(value)
        return Either.isRight(decoded)
          ? Effect.succeed(decoded.right)
          : Effect.as(warn(decoded.left), undefined)
      },
      onFailure: (cause) => Effect.as(warn(storeError(cause)), undefined)
    })

  const keep = (key: string, response: Response): Effect.Effect<void> =>
    isComplete(response)
      ? Effect.catchAllCause(set({ key, value: encode(response) }), (cause) => warn(storeError(cause)))
      : Effect.void

  const land = (key: string, flight: Flight, exit: Exit.Exit<Response | "again", LlmError>) =>
    Effect.sync(() => {
      if (flights.get(key) === flight) flights.delete(key)
      Deferred.unsafeDone(flight.landing, exit)
    })

  const wait = (key: string, flight: Flight) =>
    Effect.onInterrupt(Deferred.await(flight.landing), () =>
      Effect.suspend(() => {
        flight.askers--
        if (flight.askers > 0 || flight.fiber === undefined) return Effect.void
        if (flights.get(key) === flight) flights.delete(key)
        return Fiber.interrupt(flight.fiber)
      })
    )

  const lead = <R>(
    key: string,
    flight: Flight,
    call: Effect.Effect<Response, LlmError, R>
  ): Effect.Effect<Hit, LlmError, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(restore(lookUp(key)), {
        onFailure: (cause) =>
          Effect.zipRight(land(key, flight, Exit.succeed("again")), Effect.failCause(cause)),
        onSuccess: (stored) => {
          if (stored !== undefined) {
            return Effect.as(land(key, flight, Exit.succeed(stored)), hit(stored, "store"))
          }
          const flown = Effect.flatMap(
            Effect.exit(Effect.interruptible(Effect.tap(call, (response) => keep(key, response)))),
            (exit) => land(key, flight, exit)
          )
          return Effect.flatMap(Effect.forkIn(flown, scope), (fiber) => {
            flight.fiber = fiber
            return Effect.flatMap(restore(wait(key, flight)), (response) =>
              // only a leader that leaves before its call says "again", and this one has made its call
              response === "again" ? Effect.interrupt : Effect.succeed(hit(response, "call"))
            )
          })
        }
      })
    )

  const getOrCall: Service["getOrCall"] = (key, call) =>
    Effect.suspend(() => {
      const under = flights.get(key)
      if (under !== undefined) {
        under.askers++
        return Effect.flatMap(wait(key, under), (response) =>
          response === "again" ? getOrCall(key, call) : Effect.succeed(hit(response, "flight"))
        )
      }
      const flight: Flight = { landing: Deferred.unsafeMake(FiberId.none), askers: 1, fiber: undefined }
      flights.set(key, flight)
      return lead(key, flight, call)
    })

  return { enabled: true, getOrCall }
})

const hit = (response: Response, origin: Origin): Hit => ({ response, origin })

/** The cache over the {@link CacheStore} that is provided. */
export const layer: Layer.Layer<Cache, never, CacheStore> = Layer.scoped(Cache, make)

/**
 * Answers kept in memory, for as long as the layer lives. Past `capacity` answers (default 10,000) the one that
 * was not asked for the longest makes room.
 */
export const layerMemory = (options: { readonly capacity?: number | undefined } = {}): Layer.Layer<Cache> =>
  Layer.provide(
    layer,
    Layer.sync(CacheStore, () => makeMemoryStore(options.capacity ?? 10_000))
  )

/**
 * Answers kept in a SQLite file, which several processes may use at once. Its folder is made if it is missing. Fails if
 * the file cannot be opened, or is not a cache of this version.
 */
export const layerSqlite = (options: { readonly filename: string }): Layer.Layer<Cache, CacheStoreError> =>
  Layer.provide(
    layer,
    // loaded when used: the native module is no cost to those who keep answers elsewhere
    Layer.unwrapEffect(
      Effect.map(
        Effect.tryPromise({
          try: () => import("./internal/cacheStoreSqlite.js"),
          catch: (cause) => new CacheStoreError({ message: "SQLite could not be loaded", cause })
        }),
        (sqlite) => sqlite.layer(options.filename)
      )
    )
  )

/** No cache: every request is a call of its own, also of two equal ones. */
export const layerNone: Layer.Layer<Cache> = Layer.succeed(Cache, {
  enabled: false,
  getOrCall: (_key, call) => Effect.map(call, (response) => hit(response, "call"))
})
