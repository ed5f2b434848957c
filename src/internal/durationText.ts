/** Times as people write them on a command line and in a config file. */
import * as Duration from "effect/Duration"
import type * as Option from "effect/Option"

const units: Readonly<Record<string, Duration.Unit>> = {
  ms: "millis",
  s: "seconds",
  m: "minutes",
  h: "hours",
  d: "days"
}

/** `90` (seconds), `90s`, `1.5m`, `500ms`, `7d`, `10 minutes`. */
export const duration = (text: string): Option.Option<Duration.Duration> => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim()) ?? []
  return Duration.decodeUnknown(amount === undefined ? text.trim() : `${amount} ${units[unit ?? "s"]}`)
}
