/** A cache store in memory, bounded by dropping what was not asked for the longest. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Entry, Service } from "../CacheStore.js"

export const makeMemoryStore = (capacity: number): Service => {
  // a Map iterates in the order of insertion: what is read is put back at the end
  const stored = new Map<string, Entry>()
  const idOf = (namespace: string, key: string) => `${namespace}\n${key}`

  const get = (id: string, now: number): Entry | undefined => {
    const entry = stored.get(id)
    if (entry === undefined) return undefined
    stored.delete(id)
    if (entry.expiresAt !== undefined && entry.expiresAt <= now) return undefined
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
      Effect.sync(() => {
        for (const entry of entries) {
          const id = idOf(namespace, entry.key)
          stored.delete(id)
          stored.set(id, entry)
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
        for (const id of stored.keys()) {
          if (namespaceOf(id) === namespace) stored.delete(id)
        }
      }),
    totals: (namespace) =>
      Effect.sync(() => {
        let entries = 0
        let bytes = 0
        for (const [id, { value }] of stored) {
          if (namespaceOf(id) !== namespace) continue
          entries++
          bytes += Buffer.byteLength(value)
        }
        return { entries, bytes }
      })
  }
}

// a key has no line break, a namespace may
const namespaceOf = (id: string): string => id.slice(0, id.lastIndexOf("\n"))
