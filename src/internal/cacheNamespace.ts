/** Items of several namespaces, for stores that are asked for one at a time. */
import * as Effect from "effect/Effect"

/** Runs `f` for the items of each namespace. It answers in the order of its items, and so do we. */
export const byNamespace = <I extends { readonly namespace: string }, A, E>(
  items: ReadonlyArray<I>,
  f: (namespace: string, items: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, E>
): Effect.Effect<ReadonlyArray<A>, E> => {
  const first = items[0]?.namespace ?? ""
  if (items.every(({ namespace }) => namespace === first)) return f(first, items)
  const results = new Array<A>(items.length)
  return Effect.as(
    Effect.forEach(
      new Set(items.map(({ namespace }) => namespace)),
      (namespace) => {
        const places = items.flatMap((item, i) => (item.namespace === namespace ? [{ i, item }] : []))
        return Effect.map(
          f(
            namespace,
            places.map(({ item }) => item)
          ),
          (answers) => {
            // one answer for each item
            for (const [n, { i }] of places.entries()) results[i] = answers[n] as A
          }
        )
      },
      { discard: true }
    ),
    results
  )
}
