/** A cache store in memory, bounded by dropping what was not asked for the longest. */
import * as Effect from "effect/Effect"
import type { Service } from "../CacheStore.js"

export const makeMemoryStore = (capacity: number): Service => {
  // a Map iterates in the order of insertion: what is read is put back at the end
  const values = new Map<string, string>()
  return {
    getMany: (keys) =>
      Effect.sync(() => {
        const found = new Map<string, string>()
        for (const key of keys) {
          const value = values.get(key)
          if (value === undefined) continue
          found.set(key, value)
          values.delete(key)
          values.set(key, value)
        }
        return found
      }),
    setMany: (entries) =>
      Effect.sync(() => {
        for (const { key, value } of entries) {
          values.delete(key)
          values.set(key, value)
        }
        for (const key of values.keys()) {
          if (values.size <= capacity) break
          values.delete(key)
        }
      })
  }
}
