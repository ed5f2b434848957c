/** The store of shared limits in Redis (5 or later, or a server that speaks as it does), by itself or as a cluster. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Exchange, RateLimiterStoreError, type Reply, type Service } from "../RateLimiterStore.js"
import { type RateName, rateKinds } from "./limits.js"
import { connect, type RedisClient } from "./redisClient.js"
import { script } from "./redisLimiterScript.js"

export interface Options {
  readonly url?: string | Redacted.Redacted<string> | undefined
  readonly client?: RedisClient | undefined
  readonly prefix?: string | undefined
  readonly timeout?: Duration.DurationInput | undefined
}

const fail = (message: string) => new RateLimiterStoreError({ message })

const Amounts = Schema.Array(Schema.Number)
const decodeReply = Schema.decodeUnknownEither(
  Schema.parseJson(
    Schema.Struct({
      now: Schema.NumberFromString,
      admitted: Schema.Number,
      wait: Schema.Number,
      due: Schema.NumberFromString,
      waitingFor: Schema.Number,
      pause: Schema.Number,
      reason: Schema.String,
      used: Amounts,
      stated: Amounts
    })
  )
)

/** In the script a limit goes by its place in the table of limits, counted from 1. */
const byName = (amounts: ReadonlyArray<number>): Partial<Record<RateName, number>> => {
  const named: Partial<Record<RateName, number>> = {}
  rateKinds.forEach(({ name }, index) => {
    const amount = amounts[index]
    if (amount !== undefined && amount >= 0) named[name] = amount
  })
  return named
}

const waitingForOf = (code: number): Reply["waitingFor"] => {
  if (code === -1) return "concurrency"
  return code === -2 ? "pause" : rateKinds[code - 1]?.name
}

const encodeExchange = (exchange: Exchange): string => {
  const { concurrency } = exchange.limits
  return JSON.stringify({
    process: exchange.process,
    kinds: rateKinds.map(({ name, paced, period, unit }) => ({
      period,
      paced,
      counts: unit === "requests",
      limit: exchange.limits[name],
      burst: unit === "requests" ? exchange.limits.burst : exchange.limits.tokenBurst
    })),
    concurrency: concurrency === "adaptive" ? undefined : concurrency,
    costs: exchange.costs.map((cost) => rateKinds.map((kind) => kind.measure(cost))),
    due: exchange.due,
    held: exchange.held,
    lease: exchange.lease,
    corrections: exchange.corrections.map(({ always, amounts, at }) => ({
      always,
      at,
      amounts: rateKinds.map(({ name }) => amounts[name] ?? 0)
    })),
    told: rateKinds.map(({ name }) => exchange.told[name] ?? {}),
    pause: exchange.pause,
    restart: exchange.restart
  })
}

const decode = (text: unknown): Either.Either<Reply, RateLimiterStoreError> =>
  Either.mapBoth(decodeReply(text), {
    onLeft: () => fail("Redis: the script of the limiter gave no reply that could be read"),
    onRight: ({ due, pause, reason, stated, used, waitingFor, ...reply }) => ({
      ...reply,
      due: due > 0 ? due : undefined,
      waitingFor: waitingForOf(waitingFor),
      pause: pause > 0 ? { millis: pause, reason } : undefined,
      used: byName(used),
      stated: byName(stated)
    })
  })

/** Connects to Redis, or takes the client at hand. */
export const make = (options: Options): Effect.Effect<Service, RateLimiterStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, prefix = "floodgate:", timeout = "2 seconds", url } = options
    const redis = yield* connect({ client, url, timeout, purpose: "Limits in Redis need", fail })
    const run = redis.script(script)

    const exchange: Service["exchange"] = (domain, exchange) =>
      Effect.suspend(() => {
        // Escaped, a name has no braces: the tag is the whole name, and the keys of a domain are in one slot. An empty
        // tag would be none.
        const base = `${prefix}{${encodeURIComponent(domain) || "%"}}:`
        const keys = [`${base}state`, `${base}processes`, ...rateKinds.map(({ name }) => base + name)]
        return Effect.flatMap(run(keys, [encodeExchange(exchange)]), decode)
      })
    return { exchange, check: redis.first(Effect.asVoid(exchange("", nothing))) }
  })

/** Changes nothing. */
const nothing: Exchange = {
  process: "",
  limits: {},
  costs: [],
  due: undefined,
  held: 0,
  lease: 0,
  corrections: [],
  told: {},
  pause: undefined,
  restart: "never"
}
