/** Numbers for people. */

export const whole = (n: number): string => Math.round(n).toLocaleString("en-US")

/** Three digits that count, with a letter for thousands: for axes and tooltips. */
export const short = (n: number): string => {
  const units = ["", "k", "M", "G"]
  let amount = n
  let unit = 0
  while (Math.abs(amount) >= 1_000 && unit < units.length - 1) {
    amount /= 1_000
    unit++
  }
  return `${Number(amount.toPrecision(3))}${units[unit]}`
}

/** A latency: `340 ms`, `1.2 s`, `3 min`. */
export const latency = (millis: number): string =>
  millis < 1_000
    ? `${Number(millis.toPrecision(3))} ms`
    : millis < 120_000
      ? `${Number((millis / 1_000).toPrecision(3))} s`
      : `${Number((millis / 60_000).toPrecision(3))} min`

const two = (n: number): string => String(n).padStart(2, "0")

/** Time since the start, in seconds: `0.5 s`, `1:30`, `2:00:00`. */
export const elapsed = (seconds: number): string => {
  if (seconds < 60) return `${Number(seconds.toFixed(2))} s`
  const rounded = Math.round(seconds)
  const minutes = Math.floor(rounded / 60)
  return minutes < 60
    ? `${minutes}:${two(rounded % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(rounded % 60)}`
}

/** Dollars on an axis. */
export const dollars = (n: number): string =>
  n === 0 ? "$0" : n >= 1_000 ? `$${short(n)}` : `$${Number(n.toPrecision(3))}`

/** The time of day in UTC. */
export const clock = (millis: number): string => new Date(millis).toISOString().slice(11, 19)
