/** What was probably meant by a name that is not known. */
import { distance } from "fastest-levenshtein"

// `base-url` and `baseUrl` are `base_url`
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z\d]/g, "")

const sorted = (name: string): string => [...name].sort().join("")

/** The known name that is nearest to `name`, where one is near enough to be a slip of the fingers. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  const asked = plain(name)
  let best: string | undefined
  let least = Math.min(3, Math.floor(asked.length / 3) + 1) + 1
  for (const candidate of known) {
    const other = plain(candidate)
    // letters in another order are one slip
    const apart = sorted(asked) === sorted(other) && asked !== other ? 1 : distance(asked, other)
    if (apart >= least) continue
    best = candidate
    least = apart
  }
  return best
}

/** `; did you mean "x"?`, or nothing. */
export const suggestion = (name: string, known: Iterable<string>): string => {
  const meant = nearest(name, known)
  return meant === undefined ? "" : `; did you mean "${meant}"?`
}
