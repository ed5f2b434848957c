/**
 * A stored answer as a line of JSON, in the files that `floodgate cache export` writes and `import` reads:
 *
 * `{"key", "namespace", "storedAt", "expiresAt", "keyVersion", "request", "response"}`
 *
 * Times are of ISO 8601, or null where there is none. The request is there if it was stored with its answer.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { CacheStoreError, type Listed } from "../CacheStore.js"
import * as CacheEntry from "./cacheEntry.js"
import { version as keyVersion } from "./cacheKey.js"
import { Namespace } from "./cacheNamespace.js"
import type { JsonObject } from "./jsonObject.js"

const Line = Schema.Struct({
  key: Schema.String.pipe(Schema.pattern(/^[\w-]{43}$/, { message: () => "is no key of floodgate" })),
  namespace: Schema.optional(Namespace),
  storedAt: Schema.optional(Schema.NullOr(Schema.Date)),
  expiresAt: Schema.optional(Schema.NullOr(Schema.Date)),
  request: Schema.optional(Schema.Unknown),
  response: Schema.Unknown
})
const decodeLine = Schema.decodeUnknownEither(Line)

/** The last moment that a date can name, in milliseconds. What expires later never does. */
const endOfTime = 8.64e15

const timeOf = (millis: number | undefined): string | null =>
  millis === undefined || millis > endOfTime ? null : new Date(millis).toISOString()

/** The line of an entry, without its newline, or why its value cannot be read. */
export const encode = (entry: Listed): Either.Either<string, CacheStoreError> => {
  const parts = CacheEntry.partsOf(entry.value)
  if (parts instanceof CacheStoreError) return Either.left(parts)
  return Either.right(
    JSON.stringify({
      key: entry.key,
      namespace: entry.namespace,
      storedAt: timeOf(entry.storedAt),
      expiresAt: timeOf(entry.expiresAt),
      keyVersion: parts.keyVersion,
      request: parts.request,
      response: parts.response
    })
  )
}

/** Whether an object is meant as such a line. */
export const isMeant = (line: JsonObject): boolean => "key" in line && "keyVersion" in line

/** The entry of a line, or what is wrong with it. */
export const decode = (line: JsonObject): Either.Either<Listed, string> => {
  if (line.keyVersion !== keyVersion) {
    return Either.left(
      `its key is of version ${JSON.stringify(line.keyVersion)}, and this version of floodgate asks for keys of version ${keyVersion}: it would never be found. Export and import with the same version`
    )
  }
  const decoded = decodeLine(line)
  if (Either.isLeft(decoded)) {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(decoded.left)
    return Either.left(`"${issue?.path.join(".")}" ${issue?.message}`)
  }
  const { expiresAt, key, namespace, request, response, storedAt } = decoded.right
  const value = CacheEntry.fromParts({ request, response })
  return value === undefined
    ? Either.left(`"response" is no answer as floodgate stores them`)
    : Either.right({
        namespace: namespace ?? "",
        key,
        value,
        storedAt: storedAt?.getTime(),
        expiresAt: expiresAt?.getTime()
      })
}
