/** A cache store in Redis (5 or later), by itself or as a cluster, shared by any number of processes. */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CacheStoreError, type Contents, type Service } from "../CacheStore.js"
import { tally } from "./cacheSummary.js"
import { connect, type RedisClient } from "./redisClient.js"

export interface Options {
  readonly url?: string | Redacted.Redacted<string> | undefined
  readonly client?: RedisClient | undefined
  readonly prefix?: string | undefined
  readonly timeout?: Duration.DurationInput | undefined
}

const storeError = (message: string) => new CacheStoreError({ message })

// Each script is one step of the server: nobody comes in between.

const get = "return redis.call('MGET', unpack(KEYS))"

/** KEYS: answer and lease of each. ARGV: value of each, and its milliseconds to live or an empty text. */
const set = `
for i = 1, #KEYS, 2 do
  local value, millis = ARGV[i], ARGV[i + 1]
  if millis == '' then redis.call('SET', KEYS[i], value)
  else redis.call('SET', KEYS[i], value, 'PX', millis) end
  redis.call('DEL', KEYS[i + 1])
end`

/** KEYS: answer and lease of each. ARGV: owner, milliseconds. Returns the numbers of those that are the owner's. */
const take = `
local taken = {}
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    local owner = redis.call('GET', KEYS[i + 1])
    if not owner or owner == ARGV[1] then
      redis.call('SET', KEYS[i + 1], ARGV[1], 'PX', ARGV[2])
      taken[#taken + 1] = (i - 1) / 2
    end
  end
end
return taken`

/** KEYS: leases. ARGV: owner. */
const release = `
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('DEL', KEYS[i]) end
end`

const remove = "for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end"

/**
 * Walks over the answers of a namespace, a part at a time: KEYS[1] is what they begin with, ARGV the cursor, the pattern,
 * and whether to delete them. Returns the next cursor, and the number and bytes of those it saw.
 */
const walk = `
if redis.replicate_commands then redis.replicate_commands() end
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 500)
local bytes = 0
for _, key in ipairs(page[2]) do
  bytes = bytes + redis.call('STRLEN', key)
  if ARGV[3] == 'delete' then redis.call('DEL', key) end
end
return { page[1], #page[2], bytes }`

/**
 * Looks through the answers a part at a time: ARGV as above, but last whether their values are wanted. Returns the next
 * cursor, and of each answer its key, its milliseconds to live, its bytes, and its value or an empty text.
 */
const look = `
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 100)
local found = {}
for _, key in ipairs(page[2]) do
  local value = ARGV[3] == 'values' and redis.call('GET', key) or ''
  local bytes = ARGV[3] == 'values' and #(value or '') or redis.call('STRLEN', key)
  local millis = redis.call('PTTL', key)
  if millis ~= -2 then found[#found + 1] = { key, millis, bytes, value or '' } end
end
return { page[1], found }`

const decodeValues = Schema.decodeUnknownEither(Schema.Array(Schema.NullOr(Schema.String)))
const decodeNumbers = Schema.decodeUnknownEither(Schema.Array(Schema.Number))
const decodePage = Schema.decodeUnknownEither(Schema.Tuple(Schema.String, Schema.Number, Schema.Number))
const Seen = Schema.Tuple(Schema.String, Schema.Number, Schema.Number, Schema.String)
const decodeLook = Schema.decodeUnknownEither(Schema.Tuple(Schema.String, Schema.Array(Seen)))

const unread = () => storeError("Redis: an answer that cannot be read")

/** Connects to Redis, or takes the client at hand. */
export const make = (options: Options): Effect.Effect<Service, CacheStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, timeout = "2 seconds", url } = options
    const redis = yield* connect({
      client,
      url,
      timeout,
      purpose: "A cache in Redis needs",
      fail: storeError
    })
    const run = {
      get: redis.script(get),
      set: redis.script(set),
      take: redis.script(take),
      release: redis.script(release),
      remove: redis.script(remove),
      walk: redis.script(walk),
      look: redis.script(look)
    }

    // Escaped, a namespace has no braces and no pattern: its keys are in one slot, and a script may have them all.
    const prefix = options.prefix ?? "floodgate:"
    const baseOf = (namespace: string) =>
      `${prefix}{cache:${encodeURIComponent(namespace).replaceAll("*", "%2A")}}:`
    const answerOf = (base: string, key: string) => `${base}answer:${key}`
    const leaseOf = (base: string, key: string) => `${base}lease:${key}`
    const both = (base: string, keys: ReadonlyArray<string>) =>
      keys.flatMap((key) => [answerOf(base, key), leaseOf(base, key)])

    const patternOf = (base: string) => escapePattern(prefix) + answerOf(base, "*").slice(prefix.length)

    /** The namespace and the key of an answer; what another program keeps under such a name has none. */
    const placeOf = (id: string) => {
      const [, namespace, key] = /^\{cache:([^{}]*)\}:answer:([\w-]+)$/.exec(id.slice(prefix.length)) ?? []
      return namespace === undefined || key === undefined
        ? []
        : [{ namespace: decodeURIComponent(namespace), key }]
    }

    const lookAll = (namespace: string | undefined, wanted: "values" | "sizes") => {
      const pattern =
        namespace === undefined ? `${escapePattern(prefix)}{cache:*}:answer:*` : patternOf(baseOf(namespace))
      return Stream.paginateChunkEffect("0", (cursor) =>
        run.look([baseOf(namespace ?? "")], [cursor, pattern, wanted]).pipe(
          Effect.flatMap((page) => Effect.mapError(decodeLook(page), unread)),
          Effect.map(
            ([next, found]) =>
              [
                Chunk.unsafeFromArray(
                  found.flatMap(([id, millis, bytes, value]) =>
                    placeOf(id).map((place) => ({ ...place, millis, bytes, value }))
                  )
                ),
                Option.liftPredicate(next, (cursor) => cursor !== "0")
              ] as const
          )
        )
      )
    }

    const contents: Contents = {
      list: (namespace) =>
        Stream.mapEffect(lookAll(namespace, "values"), ({ key, millis, namespace, value }) =>
          Effect.map(Clock.currentTimeMillis, (now) => ({
            namespace,
            key,
            value,
            storedAt: undefined,
            expiresAt: millis < 0 ? undefined : now + millis
          }))
        ),
      summaries: (namespace) =>
        Effect.suspend(() => {
          const summaries = tally()
          return Effect.map(
            Stream.runForEach(lookAll(namespace, "sizes"), ({ bytes, namespace }) =>
              Effect.sync(() => summaries.add({ namespace, bytes, storedAt: undefined, expired: false }))
            ),
            summaries.all
          )
        }),
      // the server's business
      removeExpired: () => Effect.void
    }

    const walkAll = (namespace: string, then: "count" | "delete") => {
      const base = baseOf(namespace)
      const pattern = patternOf(base)
      const step = (
        cursor: string,
        entries: number,
        bytes: number
      ): Effect.Effect<{ readonly entries: number; readonly bytes: number }, CacheStoreError> =>
        run.walk([base], [cursor, pattern, then]).pipe(
          Effect.flatMap((page) => Effect.mapError(decodePage(page), unread)),
          Effect.flatMap(([next, seen, size]) =>
            next === "0"
              ? Effect.succeed({ entries: entries + seen, bytes: bytes + size })
              : step(next, entries + seen, bytes + size)
          )
        )
      return step("0", 0, 0)
    }

    yield* redis.first(run.get([baseOf("")], []))

    return {
      getMany: (namespace, keys) => {
        const base = baseOf(namespace)
        return run
          .get(
            keys.map((key) => answerOf(base, key)),
            []
          )
          .pipe(
            Effect.flatMap((values) => Effect.mapError(decodeValues(values), unread)),
            Effect.map((values) => {
              const found = new Map<string, string>()
              for (const [i, key] of keys.entries()) {
                const value = values[i]
                if (typeof value === "string") found.set(key, value)
              }
              return found
            })
          )
      },
      setMany: (namespace, entries) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          return run.set(
            both(
              baseOf(namespace),
              entries.map(({ key }) => key)
            ),
            entries.flatMap(({ expiresAt, value }) => [
              value,
              expiresAt === undefined ? "" : String(Math.max(1, Math.ceil(expiresAt - now)))
            ])
          )
        }),
      remove: (namespace, keys) =>
        keys === "all"
          ? Effect.asVoid(walkAll(namespace, "delete"))
          : Effect.asVoid(
              run.remove(
                keys.map((key) => answerOf(baseOf(namespace), key)),
                []
              )
            ),
      totals: (namespace) => walkAll(namespace, "count"),
      leases: {
        take: (namespace, keys, owner, millis) =>
          run.take(both(baseOf(namespace), keys), [owner, String(Math.ceil(millis))]).pipe(
            Effect.flatMap((taken) => Effect.mapError(decodeNumbers(taken), unread)),
            Effect.map((taken) => new Set(taken.flatMap((i) => keys[i] ?? [])))
          ),
        release: (namespace, keys, owner) =>
          Effect.asVoid(
            run.release(
              keys.map((key) => leaseOf(baseOf(namespace), key)),
              [owner]
            )
          )
      },
      contents
    }
  })

const escapePattern = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")
