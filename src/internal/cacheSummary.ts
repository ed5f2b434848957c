/** Counts what a store holds, namespace by namespace. */
import type { Summary } from "../CacheStore.js"

export interface Tally {
  readonly add: (entry: {
    readonly namespace: string
    readonly bytes: number
    readonly storedAt: number | undefined
    readonly expired: boolean
  }) => void
  /** By name. */
  readonly all: () => ReadonlyArray<Summary>
}

const earliest = (a: number | undefined, b: number | undefined) =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)
const latest = (a: number | undefined, b: number | undefined) =>
  a === undefined ? b : b === undefined ? a : Math.max(a, b)

export const tally = (): Tally => {
  const summaries = new Map<string, Summary>()
  return {
    add: ({ bytes, expired, namespace, storedAt }) => {
      const so = summaries.get(namespace)
      summaries.set(namespace, {
        namespace,
        entries: (so?.entries ?? 0) + (expired ? 0 : 1),
        expired: (so?.expired ?? 0) + (expired ? 1 : 0),
        bytes: (so?.bytes ?? 0) + bytes,
        oldest: earliest(so?.oldest, storedAt),
        newest: latest(so?.newest, storedAt)
      })
    },
    all: () => [...summaries.values()].sort((a, b) => (a.namespace < b.namespace ? -1 : 1))
  }
}
