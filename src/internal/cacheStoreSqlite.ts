/** A cache store in a SQLite file, shared by any number of processes. */
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import type { SqlError } from "@effect/sql/SqlError"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { CacheStore, CacheStoreError, type Contents, type Leases, type Service } from "../CacheStore.js"
import { formatVersion, install, migrations } from "./cacheSqliteFormat.js"

export interface Options {
  readonly filename: string
  /** The most answers that the file holds. */
  readonly maxEntries?: number | undefined
  /** The most bytes that its answers take. */
  readonly maxBytes?: number | undefined
}

const storeError = (action: string) => (cause: unknown) =>
  new CacheStoreError({ message: `cannot ${action}: ${reason(cause)}`, cause })

const notBuilt =
  "the native part of better-sqlite3 is not there, as its install script has not run. Run npm approve-scripts better-sqlite3, where npm knows that, and npm rebuild better-sqlite3; or keep the cache in memory"

const notOurs =
  "the native part of better-sqlite3 was built for another version of Node, or another machine. Run npm rebuild better-sqlite3; or keep the cache in memory"

const reason = (cause: unknown): string => {
  const inner = typeof cause === "object" && cause !== null && "cause" in cause ? cause.cause : cause
  const message = inner instanceof Error ? inner.message : String(inner)
  // instead of all the places where it was looked for
  if (message.startsWith("Could not locate the bindings file")) return notBuilt
  return inner instanceof Error && "code" in inner && inner.code === "ERR_DLOPEN_FAILED" ? notOurs : message
}

/** Whether another process was in the way, at any depth of an error. */
const isBusy = (error: unknown): boolean =>
  typeof error === "object" &&
  error !== null &&
  (("code" in error && String(error.code).startsWith("SQLITE_BUSY")) ||
    ("cause" in error && isBusy(error.cause)))

/**
 * SQLite is synchronous: while it waits for another process's lock, nothing else happens in this one. So it waits
 * a few milliseconds only, and the fiber sleeps between tries, about 20 seconds in all.
 */
const patience = Schedule.exponential("2 millis").pipe(
  Schedule.union(Schedule.spaced("250 millis")),
  Schedule.jittered,
  Schedule.upTo("20 seconds")
)

const retryBusy = <A, E, R>(statement: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(statement, { while: isBusy, schedule: patience })

/** Rows that one statement deletes at most: others wait for it, and so does this process. */
const deletedAtOnce = 500
/** Rows that a listing holds at most. */
const listedAtOnce = 200
/** How often expired answers and leases are swept away, in milliseconds. */
const sweepInterval = 60_000

/** Brings the file to this version's format, or says why it cannot be used. */
const prepare = (sql: SqliteClient.SqliteClient) =>
  Effect.gen(function* () {
    const [row] = yield* sql<{ user_version: number }>`PRAGMA user_version`
    const version = row?.user_version ?? 0
    if (version === formatVersion) return
    const [tables] = yield* sql<{ n: number }>`SELECT count(*) AS n FROM sqlite_master`
    if (version === 0 && tables?.n !== 0) {
      return yield* new CacheStoreError({ message: "the file is a database, and not a cache of floodgate" })
    }
    const steps = version === 0 ? install : migrations.get(version)
    if (steps === undefined) {
      return yield* new CacheStoreError({
        message: `the cache file has format ${version}, this version reads format ${formatVersion}: use another file`
      })
    }
    for (const step of steps) yield* sql.unsafe(step)
    yield* sql.unsafe(`PRAGMA user_version = ${formatVersion}`)
  }).pipe(
    // all or nothing, whoever else opens the file at the same time
    sql.withTransaction
  )

const make = (
  options: Options
): Effect.Effect<Service, SqlError | CacheStoreError, SqliteClient.SqliteClient> =>
  Effect.gen(function* () {
    const sql = yield* SqliteClient.SqliteClient
    yield* sql`PRAGMA busy_timeout = 10`
    // in WAL mode a crash of the process loses nothing; a power cut may lose the last answers, never the file
    yield* sql`PRAGMA synchronous = NORMAL`
    yield* retryBusy(prepare(sql))

    const { maxBytes, maxEntries } = options
    const isBounded = maxBytes !== undefined || maxEntries !== undefined

    /** Deletes these rows bit by bit. `rowids` is a query that finds no more of them than one bit. */
    const deleteBy = (
      rowids: (now: number) => Effect.Effect<ReadonlyArray<unknown>, SqlError>,
      now: number
    ) =>
      Effect.iterate(deletedAtOnce, {
        while: (deleted) => deleted === deletedAtOnce,
        body: () => Effect.map(retryBusy(rowids(now)), (rows) => rows.length)
      })

    /** Of this namespace, or of all. */
    const only = (namespace: string | undefined) =>
      namespace === undefined ? sql`` : sql`AND namespace = ${namespace}`

    const deleteExpired = (now: number, namespace?: string) => sql`
      DELETE FROM answers WHERE rowid IN (
        SELECT rowid FROM answers WHERE expires_at <= ${now} ${only(namespace)} LIMIT ${deletedAtOnce}
      ) RETURNING 1`

    /** The oldest answers: as many as there are too many, and as many as have the bytes that are too many. */
    const deleteOldest = () => sql`
      WITH held AS (SELECT sum(entries) AS entries, sum(bytes) AS bytes FROM totals),
      oldest AS (
        SELECT rowid AS id, octet_length(value) AS size FROM answers ORDER BY rowid LIMIT ${deletedAtOnce}
      ),
      queue AS (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS before,
          sum(size) OVER (ORDER BY id) - size AS bytes_before
        FROM oldest
      )
      DELETE FROM answers WHERE rowid IN (
        SELECT id FROM queue, held
        WHERE before < held.entries - ${maxEntries ?? Number.MAX_SAFE_INTEGER}
          OR bytes_before < held.bytes - ${maxBytes ?? Number.MAX_SAFE_INTEGER}
      ) RETURNING 1`

    const isFull = Effect.map(
      sql<{
        entries: number
        bytes: number
      }>`SELECT sum(entries) AS entries, sum(bytes) AS bytes FROM totals`,
      ([held]) =>
        held !== undefined &&
        (held.entries > (maxEntries ?? Number.POSITIVE_INFINITY) ||
          held.bytes > (maxBytes ?? Number.POSITIVE_INFINITY))
    )

    let swept = Number.NEGATIVE_INFINITY
    /** Makes room: what has expired goes first. */
    const makeRoom = (now: number): Effect.Effect<void, SqlError> =>
      Effect.gen(function* () {
        const full = isBounded && (yield* isFull)
        if (!full && now - swept < sweepInterval) return
        swept = now
        yield* deleteBy((now) => deleteExpired(now), now)
        yield* retryBusy(sql`DELETE FROM leases WHERE expires_at <= ${now}`)
        if (full) yield* deleteBy(deleteOldest, now)
      })

    const leases: Leases = {
      take: (namespace, keys, owner, millis) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const ids = idsOf(namespace, keys)
          // those who wait ask often: what another has is found without the lock of a writer
          return sql<{ key: string }>`
            SELECT key FROM leases WHERE key IN (SELECT value FROM json_each(${JSON.stringify(ids)}))
              AND expires_at > ${now} AND owner <> ${owner}`.pipe(
            Effect.flatMap((others) => {
              const taken = new Set(others.map(({ key }) => key))
              const free = taken.size === 0 ? ids : ids.filter((id) => !taken.has(id))
              return free.length === 0
                ? Effect.succeed([])
                : sql<{ key: string }>`
                    INSERT INTO leases (key, owner, expires_at)
                    SELECT value, ${owner}, ${now + millis}
                    FROM json_each(${JSON.stringify(free)}) AS asked
                    WHERE NOT EXISTS (
                      SELECT 1 FROM answers
                      WHERE answers.key = asked.value AND (expires_at IS NULL OR expires_at > ${now})
                    )
                    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
                    WHERE leases.expires_at <= ${now} OR leases.owner = excluded.owner
                    RETURNING key`
            }),
            retryBusy,
            Effect.mapBoth({
              onSuccess: (rows) => new Set(rows.map(({ key }) => keyOf(key))),
              onFailure: storeError("take leases in the cache file")
            })
          )
        }),
      release: (namespace, keys, owner) =>
        sql`
          DELETE FROM leases WHERE owner = ${owner}
            AND key IN (SELECT value FROM json_each(${JSON.stringify(idsOf(namespace, keys))}))`.pipe(
          retryBusy,
          Effect.asVoid,
          Effect.mapError(storeError("release leases in the cache file"))
        )
    }

    const contents: Contents = {
      // In the order of rows, which is that of storing. Each page is a statement of its own: nobody waits for a
      // listing, and what is stored again meanwhile comes once more at the end.
      list: (namespace) =>
        Stream.paginateChunkEffect(0, (after) =>
          Effect.flatMap(
            Clock.currentTimeMillis,
            (now) => sql<{
              id: number
              key: string
              value: string
              namespace: string
              created_at: number
              expires_at: number | null
            }>`
              SELECT rowid AS id, key, value, namespace, created_at, expires_at FROM answers
              WHERE rowid > ${after} AND (expires_at IS NULL OR expires_at > ${now}) ${only(namespace)}
              ORDER BY rowid LIMIT ${listedAtOnce}`
          ).pipe(
            retryBusy,
            Effect.mapBoth({
              onSuccess: (rows) => {
                const last = rows.length < listedAtOnce ? undefined : rows.at(-1)?.id
                const page = rows.map((row) => ({
                  namespace: row.namespace,
                  key: keyOf(row.key),
                  value: row.value,
                  storedAt: row.created_at,
                  expiresAt: row.expires_at ?? undefined
                }))
                return [Chunk.unsafeFromArray(page), Option.fromNullable(last)] as const
              },
              onFailure: storeError("read from the cache file")
            })
          )
        ),
      summaries: (namespace) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => sql<{
            namespace: string
            entries: number
            expired: number
            bytes: number
            oldest: number
            newest: number
          }>`
            SELECT namespace, count(*) - count(CASE WHEN expires_at <= ${now} THEN 1 END) AS entries,
              count(CASE WHEN expires_at <= ${now} THEN 1 END) AS expired, sum(octet_length(value)) AS bytes,
              min(created_at) AS oldest, max(created_at) AS newest
            FROM answers WHERE true ${only(namespace)} GROUP BY namespace ORDER BY namespace`
        ).pipe(retryBusy, Effect.mapError(storeError("read from the cache file"))),
      removeExpired: (namespace) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          deleteBy((now) => deleteExpired(now, namespace), now)
        ).pipe(Effect.asVoid, Effect.mapError(storeError("delete from the cache file")))
    }

    return {
      // one bound list: one prepared statement, whatever the number of keys
      getMany: (namespace, keys) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => sql<{ key: string; value: string }>`
            SELECT key, value FROM answers
            WHERE key IN (SELECT value FROM json_each(${JSON.stringify(idsOf(namespace, keys))}))
              AND (expires_at IS NULL OR expires_at > ${now})`
        ).pipe(
          retryBusy,
          Effect.mapBoth({
            onSuccess: (rows) => new Map(rows.map(({ key, value }) => [keyOf(key), value])),
            onFailure: storeError("read from the cache file")
          })
        ),
      setMany: (namespace, entries) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const rows = entries.map(({ expiresAt, key, storedAt, value }) => ({
            key: idOf(namespace, key),
            value,
            created_at: storedAt ?? now,
            namespace,
            expires_at: expiresAt ?? null
          }))
          // one statement is one transaction, which takes the write lock from the start
          return retryBusy(sql`INSERT INTO answers ${sql.insert(rows)}`).pipe(
            Effect.zipRight(makeRoom(now)),
            Effect.mapError(storeError("write to the cache file"))
          )
        }),
      remove: (namespace, keys) =>
        (keys === "all"
          ? Effect.asVoid(
              deleteBy(
                () => sql`
                  DELETE FROM answers WHERE rowid IN (
                    SELECT rowid FROM answers WHERE namespace = ${namespace} LIMIT ${deletedAtOnce}
                  ) RETURNING 1`,
                0
              )
            )
          : Effect.asVoid(
              retryBusy(sql`
                DELETE FROM answers
                WHERE key IN (SELECT value FROM json_each(${JSON.stringify(idsOf(namespace, keys))}))`)
            )
        ).pipe(Effect.mapError(storeError("delete from the cache file"))),
      totals: (namespace) =>
        sql<{
          entries: number
          bytes: number
        }>`SELECT entries, bytes FROM totals WHERE namespace = ${namespace}`.pipe(
          retryBusy,
          Effect.mapBoth({
            onSuccess: ([held]) => held ?? { entries: 0, bytes: 0 },
            onFailure: storeError("read from the cache file")
          })
        ),
      leases,
      contents
    }
  })

// A key has no slash. Answers of no namespace lie under the key alone, as in files of version 1.
const idOf = (namespace: string, key: string): string => (namespace === "" ? key : `${namespace}/${key}`)
const idsOf = (namespace: string, keys: ReadonlyArray<string>): ReadonlyArray<string> =>
  namespace === "" ? keys : keys.map((key) => idOf(namespace, key))
const keyOf = (id: string): string => id.slice(id.lastIndexOf("/") + 1)

/** The store in this file; its folder is made if it is missing. */
export const layer = (options: Options): Layer.Layer<CacheStore, CacheStoreError> => {
  const { filename } = options
  return Layer.unwrapEffect(
    Effect.as(
      filename === ":memory:"
        ? Effect.void
        : Effect.asVoid(
            Effect.tryPromise({
              try: () => mkdir(dirname(filename), { recursive: true }),
              catch: storeError(`make the folder of ${filename}`)
            })
          ),
      Layer.effect(CacheStore, make(options)).pipe(
        Layer.provide(SqliteClient.layer({ filename })),
        // the driver throws when it cannot open a file
        Layer.catchAllCause((cause) => Layer.fail(openError(filename, Cause.squash(cause)))),
        // two processes that make one file cannot both be first
        Layer.retry(Schedule.intersect(patience, Schedule.recurWhile(isBusy)))
      )
    )
  )
}

const openError = (filename: string, error: unknown): CacheStoreError =>
  error instanceof CacheStoreError
    ? new CacheStoreError({ message: `${filename}: ${error.message}`, cause: error.cause })
    : storeError(`open the cache file ${filename}`)(error)
