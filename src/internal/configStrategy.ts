/** How a strategy is written in a config file, and what it is. */
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type * as StrategyModule from "../Strategy.js"
import * as Strategy from "../Strategy.js"
import { field, positive, text, time, word } from "./configFields.js"
import { suggestion } from "./nearest.js"

const makers = {
  round_robin: Strategy.roundRobin,
  weighted: Strategy.weighted,
  random: Strategy.random,
  fallback: Strategy.fallback,
  least_recently_used: Strategy.leastRecentlyUsed,
  lowest_latency: Strategy.lowestLatency,
  least_busy: Strategy.leastBusy,
  most_headroom: Strategy.mostHeadroom,
  lowest_cost: Strategy.lowestCost,
  // weights of models, and no list
  sample: (members?: StrategyModule.Members) =>
    Strategy.sample(Array.isArray(members) ? undefined : (members as Readonly<Record<string, number>>))
} as const

type Kind = keyof typeof makers
const kinds = Object.keys(makers) as ReadonlyArray<Kind>

type Members = ReadonlyArray<string | Node> | Readonly<Record<string, number>>

type MembersWritten = ReadonlyArray<unknown> | Readonly<Record<string, unknown>>

/** A strategy with its members: one key that names it. */
type Node = { readonly [K in Kind]?: Members | undefined } & {
  readonly patience?: Duration.Duration | undefined
}

export type Written = Kind | Node

// a name says nothing of what it names: an endpoint's id, a model, or below another strategy's name
const members: Schema.Schema<Members, MembersWritten> = Schema.suspend(() =>
  Schema.Union(
    Schema.Array(Schema.Union(text, NodeSchema)),
    Schema.Record({ key: Schema.String, value: positive })
  )
).annotations({
  identifier: "StrategyMembers",
  message: () => "a list of endpoints or strategies, or a map from endpoints to weights"
})

const nodeFields = Schema.Struct({
  round_robin: field(members, "Each in turn, as often as it weighs."),
  weighted: field(members, "Any, with a chance in proportion to its weight."),
  random: field(members, "Any, all with the same chance."),
  fallback: field(members, "The first, and a later one only where those before it fail."),
  least_recently_used: field(members, "The one that was asked the longest time ago."),
  lowest_latency: field(members, "The one with the lowest product of latency and calls in flight."),
  least_busy: field(members, "The one with the fewest calls in flight for its weight."),
  most_headroom: field(members, "The one whose limits have the greatest share left."),
  lowest_cost: field(members, "The one with the lowest price."),
  sample: field(
    Schema.Record({ key: Schema.String, value: positive }),
    "Draws the model of each request, by weights; a resumed run draws the same."
  ),
  patience: field(time, "Of fallback: how long a tier that is paused is waited for. Default 5s.")
})

const NodeSchema: Schema.Schema<Node, unknown> = Schema.suspend(
  () =>
    nodeFields.pipe(
      Schema.filter(
        (node) =>
          kinds.filter((kind) => node[kind] !== undefined).length === 1 || `one strategy: ${kinds.join(", ")}`
      )
    ) as unknown as Schema.Schema<Node, unknown>
).annotations({ identifier: "StrategyNode" })

const names = Object.fromEntries(kinds.map((kind) => [kind, kind])) as Readonly<Record<string, Kind>>

/** A strategy: its name, or a map from its name to its members. */
export const schema: Schema.Schema<Written, unknown> = Schema.Union(word(names), NodeSchema)

const membersOf = (members: Members): StrategyModule.Members =>
  Array.isArray(members)
    ? members.map((member: string | Node) => (typeof member === "string" ? member : make(member)))
    : // not a list, as the type of `isArray` cannot tell of a readonly one
      (members as Readonly<Record<string, number>>)

/** The strategy that is written. `everyone` are the members of one that names none. */
export const make = (written: Written, everyone?: ReadonlyArray<string>): Strategy.Strategy => {
  if (typeof written === "string") return makers[written](everyone)
  const kind = kinds.find((kind) => written[kind] !== undefined) ?? "round_robin"
  const members = membersOf(written[kind] ?? [])
  return kind === "fallback"
    ? Strategy.fallback(members, { patience: written.patience })
    : makers[kind](members)
}

/** The names in it that no endpoint has, each with its path below the strategy. */
export const unknownMembers = (
  written: Written,
  known: ReadonlySet<string>
): ReadonlyArray<{ readonly path: ReadonlyArray<PropertyKey>; readonly message: string }> => {
  if (typeof written === "string") return []
  return kinds.flatMap((kind) => {
    const members = written[kind]
    if (members === undefined) return []
    const list: ReadonlyArray<readonly [PropertyKey, string | Node]> = Array.isArray(members)
      ? members.map((member: string | Node, index) => [index, member] as const)
      : Object.keys(members).map((name) => [name, name] as const)
    return list.flatMap(([at, member]) => {
      if (typeof member !== "string") {
        return unknownMembers(member, known).map(({ message, path }) => ({
          message,
          path: [kind, at, ...path]
        }))
      }
      return known.has(member) ? [] : [{ path: [kind, at], message: unknownEndpoint(member, known) }]
    })
  })
}

/** What is said of the name of an endpoint that there is not. */
export const unknownEndpoint = (name: string, known: Iterable<string>): string =>
  `no endpoint has the id or model "${name}"${suggestion(name, known) || `; there are ${[...known].join(", ")}`}`
