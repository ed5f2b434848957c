/** A cache store in a SQLite file, shared by any number of processes. */
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { CacheStore, CacheStoreError, type Service } from "../CacheStore.js"

/** The format of the file, kept in its `user_version`. */
const formatVersion = 1

const storeError = (action: string) => (cause: unknown) =>
  new CacheStoreError({ message: `cannot ${action}: ${reason(cause)}`, cause })

const reason = (cause: unknown): string => {
  const inner = typeof cause === "object" && cause !== null && "cause" in cause ? cause.cause : cause
  return inner instanceof Error ? inner.message : String(inner)
}

const isBusy = (error: SqlError): boolean =>
  typeof error.cause === "object" &&
  error.cause !== null &&
  "code" in error.cause &&
  String(error.cause.code).startsWith("SQLITE_BUSY")

/**
 * SQLite is synchronous: while it waits for another process's lock, nothing else happens in this one. So it waits
 * a few milliseconds only, and the fiber sleeps between tries, about 20 seconds in all.
 */
const retryBusy = <A, R>(statement: Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
  Effect.retry(statement, {
    while: isBusy,
    schedule: Schedule.exponential("2 millis").pipe(
      Schedule.union(Schedule.spaced("250 millis")),
      Schedule.jittered,
      Schedule.upTo("20 seconds")
    )
  })

const make: Effect.Effect<Service, SqlError | CacheStoreError, SqliteClient.SqliteClient> = Effect.gen(
  function* () {
    const sql = yield* SqliteClient.SqliteClient
    yield* sql`PRAGMA busy_timeout = 10`
    // in WAL mode a crash of the process loses nothing; a power cut may lose the last answers, never the file
    yield* sql`PRAGMA synchronous = NORMAL`
    const [row] = yield* sql<{ user_version: number }>`PRAGMA user_version`
    const version = row?.user_version ?? 0
    if (version === 0) {
      const [tables] = yield* sql<{ n: number }>`SELECT count(*) AS n FROM sqlite_master`
      if (tables?.n !== 0) {
        return yield* new CacheStoreError({ message: "the file is a database, and not a cache of floodgate" })
      }
      yield* retryBusy(sql`
        CREATE TABLE IF NOT EXISTS answers (
          key TEXT PRIMARY KEY NOT NULL,
          value TEXT NOT NULL,
          created_at INTEGER NOT NULL
        )`)
      yield* retryBusy(sql.unsafe(`PRAGMA user_version = ${formatVersion}`))
    } else if (version !== formatVersion) {
      return yield* new CacheStoreError({
        message: `the cache file has format ${version}, this version reads format ${formatVersion}: use another file`
      })
    }

    return {
      // one bound list: one prepared statement, whatever the number of keys
      getMany: (keys) =>
        sql<{ key: string; value: string }>`
          SELECT key, value FROM answers WHERE key IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`.pipe(
          retryBusy,
          Effect.mapBoth({
            onSuccess: (rows) => new Map(rows.map(({ key, value }) => [key, value])),
            onFailure: storeError("read from the cache file")
          })
        ),
      setMany: (entries) =>
        Effect.flatMap(Clock.currentTimeMillis, (created_at) => {
          const rows = entries.map(({ key, value }) => ({ key, value, created_at }))
          // one statement is one transaction, which takes the write lock from the start
          return sql`INSERT OR REPLACE INTO answers ${sql.insert(rows)}`.pipe(
            retryBusy,
            Effect.asVoid,
            Effect.mapError(storeError("write to the cache file"))
          )
        })
    }
  }
)

/** The store in this file; its folder is made if it is missing. */
export const layer = (filename: string): Layer.Layer<CacheStore, CacheStoreError> =>
  Layer.unwrapEffect(
    Effect.as(
      filename === ":memory:"
        ? Effect.void
        : Effect.asVoid(
            Effect.tryPromise({
              // one level: a misspelt path is not made up into folders
              try: () =>
                mkdir(dirname(filename)).catch((cause) => {
                  if (cause?.code !== "EEXIST") throw cause
                }),
              catch: storeError(`make the folder of ${filename}`)
            })
          ),
      Layer.effect(CacheStore, make).pipe(Layer.provide(SqliteClient.layer({ filename })))
    )
  ).pipe(
    Layer.catchAllCause((cause) => {
      // the driver throws when it cannot open a file
      const error = Cause.squash(cause)
      return Layer.fail(
        error instanceof CacheStoreError
          ? new CacheStoreError({ message: `${filename}: ${error.message}`, cause: error.cause })
          : storeError(`open the cache file ${filename}`)(error)
      )
    })
  )
