/** Namespaces: texts that stores give back as they got them, and items of several of them. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A name that comes back from every store as it was written. */
export const Namespace = Schema.String.pipe(
  Schema.filter((text) => !/\p{Surrogate}/u.test(text), {
    message: () => "must be well-formed Unicode: it has half of a surrogate pair"
  })
)

/**
 * The namespace as UTF-8 can hold it. Half a surrogate pair would come back from a store as another text, and a lease
 * taken under it would never be known again.
 */
export const wellFormed = (namespace: string): string => namespace.replace(/\p{Surrogate}/gu, "\uFFFD")

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
