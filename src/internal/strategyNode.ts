/**
 * A strategy at work over the members of a pool: a tree whose leaves are endpoints. For each decision the pool first
 * writes down how long every endpoint would have to be waited for; the tree reads that.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Endpoint, Price } from "../Endpoint.js"
import type { Request } from "../Request.js"
import type { Candidate, Kind, Strategy } from "../Strategy.js"
import type { PoolMember } from "./poolMember.js"

/** A random number from 0 to below 1. */
export type Random = () => number

/** An endpoint or a group of them. */
interface Node extends Candidate {
  readonly weight: number
  /** Of smooth round robin: how much it is owed. */
  credit: number
  /** As of a member of the pool; the soonest of a group. */
  readonly wait: () => number
  /** Chooses one that could be asked now. There must be one. */
  readonly take: (request: Request) => PoolMember
  readonly leaves: ReadonlyArray<PoolMember>
}

/** The decision at hand. */
export interface Moment {
  now: number
  headroom: (domain: string) => number
  /** What an endpoint costs that states no price itself. */
  readonly listPrice?: ((endpoint: Endpoint, now: number) => Price | undefined) | undefined
}

const blended = (price: Price | undefined): number =>
  price === undefined ? Number.POSITIVE_INFINITY : (3 * price.input + price.output) / 4

class Leaf implements Node {
  credit = 0
  readonly leaves: ReadonlyArray<PoolMember>
  readonly #member: PoolMember
  readonly #moment: Moment
  readonly weight: number

  constructor(member: PoolMember, weight: number, moment: Moment) {
    this.#member = member
    this.weight = weight
    this.#moment = moment
    this.leaves = [member]
  }

  get id() {
    return this.#member.endpoint.id
  }
  get inFlight() {
    return this.#member.inFlight
  }
  get latencyMs() {
    return this.#member.latency(this.#moment.now)
  }
  get headroom() {
    return this.#moment.headroom(this.#member.endpoint.domain)
  }
  get price() {
    const { endpoint } = this.#member
    return endpoint.price ?? this.#moment.listPrice?.(endpoint, this.#moment.now)
  }
  get lastUsed() {
    return this.#member.lastUsed
  }
  get punished() {
    return this.#member.punished(this.#moment.now)
  }
  wait = (): number => this.#member.wait
  take = (): PoolMember => this.#member
}

type Pick = (ready: NonEmptyReadonlyArray<Node>, request: Request) => Node

class Group implements Node {
  credit = 0
  readonly id: Kind
  readonly weight: number
  readonly leaves: ReadonlyArray<PoolMember>
  readonly #children: ReadonlyArray<Node>
  readonly #pick: Pick
  /** Of fallback: how long a tier is waited for. */
  readonly #patience: number | undefined

  constructor(
    kind: Kind,
    children: ReadonlyArray<Node>,
    weight: number | undefined,
    pick: Pick,
    patience: number | undefined
  ) {
    this.id = kind
    this.#children = children
    this.#pick = pick
    this.#patience = patience
    this.weight = weight ?? children.reduce((sum, child) => sum + child.weight, 0)
    this.leaves = children.flatMap((child) => child.leaves)
  }

  get inFlight() {
    return this.#children.reduce((sum, child) => sum + child.inFlight, 0)
  }
  get latencyMs() {
    return this.#ready().reduce<number | undefined>(
      (best, { latencyMs }) =>
        best === undefined ? latencyMs : latencyMs === undefined ? best : Math.min(best, latencyMs),
      undefined
    )
  }
  get headroom() {
    return this.#ready().reduce((best, child) => Math.max(best, child.headroom), 0)
  }
  get price() {
    const [first, ...rest] = this.#ready()
    return rest.reduce((best, { price }) => (blended(price) < blended(best) ? price : best), first?.price)
  }
  get lastUsed() {
    return this.#children.reduce((latest, child) => Math.max(latest, child.lastUsed), 0)
  }
  get punished() {
    return this.#ready().every((child) => child.punished)
  }

  wait = (): number => {
    let soonest = -1
    for (const child of this.#children) {
      const wait = child.wait()
      if (wait === 0) return 0
      if (wait < 0) continue
      if (soonest < 0 || wait < soonest) soonest = wait
      if (this.#holds(wait)) break
    }
    return soonest
  }

  take = (request: Request): PoolMember => {
    // nobody takes who has not been told that there is one
    const ready = this.#ready() as NonEmptyReadonlyArray<Node>
    const chosen = ready.length === 1 ? ready[0] : this.#pick(ready, request)
    return chosen.take(request)
  }

  /** Whether a tier that has to be waited for this long keeps requests from the next. */
  #holds(wait: number): boolean {
    if (this.#patience === undefined || this.#patience === 0) return false
    return wait === Number.POSITIVE_INFINITY || wait <= this.#patience
  }

  #ready(): ReadonlyArray<Node> {
    return this.#children.filter((child) => child.wait() === 0)
  }
}

/** The one with the lowest of these figures; of equals the one that was used the longest time ago. */
const lowest =
  (...figures: ReadonlyArray<(node: Node) => number>): Pick =>
  (ready) => {
    const isLower = (a: Node, b: Node): boolean => {
      for (const figure of figures) {
        const x = figure(a)
        const y = figure(b)
        if (x !== y) return x < y
      }
      return a.lastUsed < b.lastUsed
    }
    return ready.reduce((best, node) => (isLower(node, best) ? node : best))
  }

const load: (node: Node) => number = ({ inFlight, weight }) => inFlight / weight

const smooth: Pick = (ready) => {
  let total = 0
  for (const node of ready) {
    node.credit += node.weight
    total += node.weight
  }
  const chosen = ready.reduce((best, node) => (node.credit > best.credit ? node : best))
  chosen.credit -= total
  return chosen
}

const inProportion =
  (random: Random, weightOf: (node: Node) => number): Pick =>
  (ready) => {
    let left = random() * ready.reduce((sum, node) => sum + weightOf(node), 0)
    let last = ready[0]
    for (const node of ready) {
      last = node
      left -= weightOf(node)
      if (left < 0) break
    }
    return last
  }

/** One without a figure is tried with one request, and then as if it were slow until that has come back. */
const expected = ({ inFlight, latencyMs }: Node): number =>
  latencyMs === undefined
    ? inFlight === 0
      ? 0
      : Number.MAX_SAFE_INTEGER * (inFlight + 1)
    : latencyMs * (inFlight + 1)

const pickOf = (strategy: Strategy, random: Random): Pick => {
  switch (strategy.kind) {
    case "roundRobin":
    case "sample":
      return smooth
    case "weighted":
      return inProportion(random, ({ weight }) => weight)
    case "random":
      return inProportion(random, () => 1)
    case "fallback":
      return ([first]) => first
    case "leastRecentlyUsed":
      return lowest(({ lastUsed }) => lastUsed)
    case "lowestLatency":
      return lowest(({ punished }) => (punished ? 1 : 0), expected)
    case "leastBusy":
      return lowest(load)
    case "mostHeadroom":
      return lowest(({ headroom }) => -headroom, load)
    case "lowestCost":
      return lowest(({ price }) => blended(price), load)
    case "custom":
      return (ready, request) => {
        const chosen = strategy.choose?.(ready, request)
        return ready.find((node) => node === chosen) ?? ready[0]
      }
  }
}

/** What is wrong with a strategy, or the tree of it. */
export type Built = { readonly root: Node } | { readonly fault: string }

export const build = (
  strategy: Strategy,
  members: ReadonlyArray<PoolMember>,
  random: Random,
  moment: Moment
): Built => {
  const faults: Array<string> = []

  const named = (name: string): ReadonlyArray<PoolMember> => {
    const byId = members.filter(({ endpoint }) => endpoint.id === name)
    const found = byId.length > 0 ? byId : members.filter(({ endpoint }) => endpoint.model === name)
    if (found.length === 0) {
      const known = members.map(({ endpoint }) => endpoint.id).join(", ")
      faults.push(`The strategy ${strategy.kind} names "${name}", which is no endpoint or model of: ${known}`)
    }
    return found
  }

  const weigh = (weight: number, of: string): number => {
    if (!(weight > 0) || weight === Number.POSITIVE_INFINITY)
      faults.push(`The weight of ${of} must be a number greater than 0, not ${weight}`)
    return weight
  }

  const leaf = (member: PoolMember, weight: number): Node =>
    new Leaf(member, weigh(weight, member.endpoint.id), moment)

  /** The models are drawn before a request comes here; what is left is to take turns among the endpoints of one. */
  const drawn = ({ members: given = {} }: Strategy): Node => {
    const models = new Set(members.map(({ endpoint }) => endpoint.model))
    for (const [name, weight] of Object.entries(given)) {
      weigh(Number(weight), name)
      // an endpoint without a model of its own may have any
      if (models.has(name) || models.has(undefined)) continue
      faults.push(`The strategy sample names "${name}", which is no model of: ${[...models].join(", ")}`)
    }
    return node({ kind: "roundRobin" })
  }

  const node = (of: Strategy): Node => {
    if (of.kind === "sample") faults.push("The strategy sample cannot be within another one")
    const given = of.members
    const children: Array<Node> = []
    if (given === undefined) {
      for (const member of members) children.push(leaf(member, member.endpoint.weight ?? 1))
    } else if (isList(given)) {
      for (const member of given) {
        if (typeof member !== "string") children.push(node(member))
        else for (const found of named(member)) children.push(leaf(found, found.endpoint.weight ?? 1))
      }
    } else {
      for (const [name, weight] of Object.entries(given)) {
        const found = named(name)
        // several endpoints of a model share its weight
        for (const member of found) children.push(leaf(member, weight / found.length))
      }
    }
    if (children.length === 0) faults.push(`The strategy ${of.kind} has no endpoints`)
    const patience = of.kind === "fallback" ? (of.patienceMs ?? 5_000) : undefined
    return new Group(of.kind, children, undefined, pickOf(of, random), patience)
  }

  const root = strategy.kind === "sample" ? drawn(strategy) : node(strategy)
  const [fault] = faults
  return fault === undefined ? { root } : { fault }
}

const isList = (members: NonNullable<Strategy["members"]>): members is ReadonlyArray<string | Strategy> =>
  Array.isArray(members)

export type { Node }
