/** Figures of a report in words. */

/** A time for people: `340 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`. */
export const durationText = (millis: number): string => {
  if (millis < 1_000) return `${Number(millis.toPrecision(3))} ms`
  if (millis < 60_000) return `${Number((millis / 1_000).toPrecision(3))} s`
  const seconds = Math.round(millis / 1_000)
  return seconds < 3_600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
}
