/**
 * The limits over real HTTP, judged by the provider's own log: how evenly and how fully they are used, what is lost
 * when they change, and how long faults take.
 *
 * `npm run bench:limits` · `npm run bench:limits -- storm` (the cases whose name begins so)
 *
 * With `FLOODGATE_GSM8K` the path of GSM8K's test set as JSON lines, the goodput is measured on its questions.
 */
import * as Effect from "effect/Effect"
import { report } from "./claim.js"
import {
  type Case,
  faults,
  fourProcesses,
  goodputUpFront,
  goodputUsed,
  oneProcess,
  stormTold,
  stormUnknown,
  stormUntold
} from "./limitsCases.js"

const cases: Readonly<Record<string, Case>> = {
  "rate-one": oneProcess,
  "rate-four": fourProcesses,
  "goodput-up-front": goodputUpFront,
  "goodput-used": goodputUsed,
  "storm-told": stormTold,
  "storm-untold": stormUntold,
  "storm-unknown": stormUnknown,
  "faults-64": faults(64),
  "faults-256": faults(256)
}

const [beginning = ""] = process.argv.slice(2)
const { end, tell } = report()

await Effect.runPromise(
  Effect.forEach(
    Object.entries(cases).filter(([name]) => name.startsWith(beginning)),
    ([, measure]) => Effect.map(Effect.scoped(measure), (claims) => claims.forEach(tell)),
    { discard: true }
  )
)
end()
