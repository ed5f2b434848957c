/** A cache store in memory, bounded by dropping what was not asked for the longest. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Listed, Service } from "../CacheStore.js"
import { tally } from "./cacheSummary.js"

export const makeMemoryStore = (capacity: number): Service => {
  // a Map iterates in the order of insertion: what is read is put back at the end
  const stored = new Map<string, Listed>()
  const idOf = (namespace: string, key: string) => `${namespace}\n${key}`

  const get = (id: string, now: number): Listed | undefined => {
    const entry = stored.get(id)
    if (entry === undefined) return undefined
    stored.delete(id)
    if (isExpired(entry, now)) return undefined
    stored.set(id, entry)
    return entry
  }

  return {
    getMany: (namespace, keys) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const found = new Map<string, string>()
        for (const key of keys) {
          const entry = get(idOf(namespace, key), now)
          if (entry !== undefined) found.set(key, entry.value)
        }
        return found
      }),
    setMany: (namespace, entries) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const { expiresAt, key, storedAt, value } of entries) {
          const id = idOf(namespace, key)
          stored.delete(id)
          stored.set(id, { namespace, key, value, expiresAt, storedAt: storedAt ?? now })
        }
        for (const id of stored.keys()) {
          if (stored.size <= capacity) break
          stored.delete(id)
        }
      }),
    remove: (namespace, keys) =>
      Effect.sync(() => {
        if (keys !== "all") {
          for (const key of keys) stored.delete(idOf(namespace, key))
          return
        }
        for (const [id, entry] of stored) {
          if (entry.namespace === namespace) stored.delete(id)
        }
      }),
    totals: (namespace) =>
      Effect.sync(() => {
        let entries = 0
        let bytes = 0
        for (const { namespace: of, value } of stored.values()) {
          if (of !== namespace) continue
          entries++
          bytes += Buffer.byteLength(value)
        }
        return { entries, bytes }
      }),
    contents: {
      // the entries are in memory as it is: a list of them is a list of references
      list: (namespace) =>
        Stream.unwrap(
          Effect.map(Clock.currentTimeMillis, (now) =>
            Stream.fromIterable(
              within(stored.values(), namespace)
                .filter((entry) => !isExpired(entry, now))
                .sort((a, b) => (a.storedAt ?? 0) - (b.storedAt ?? 0))
            )
          )
        ),
      summaries: (namespace) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const summaries = tally()
          for (const entry of within(stored.values(), namespace)) {
            summaries.add({
              namespace: entry.namespace,
              bytes: Buffer.byteLength(entry.value),
              storedAt: entry.storedAt,
              expired: isExpired(entry, now)
            })
          }
          return summaries.all()
        }),
      removeExpired: (namespace) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const entry of within(stored.values(), namespace)) {
            if (isExpired(entry, now)) stored.delete(idOf(entry.namespace, entry.key))
          }
        })
    }
  }
}

const isExpired = ({ expiresAt }: Listed, now: number): boolean => expiresAt !== undefined && expiresAt <= now

const within = (entries: Iterable<Listed>, namespace: string | undefined): Array<Listed> =>
  Array.from(entries).filter((entry) => namespace === undefined || entry.namespace === namespace)
