/**
 * The endpoints that the requests of a task may be sent to, and the way to choose among them: one lane for each task of
 * a router, and one for requests without a task.
 */
import type { Request } from "../Request.js"
import type { Strategy } from "../Strategy.js"
import type { PoolMember } from "./poolMember.js"
import { build, type Moment, type Node, type Random } from "./strategyNode.js"

/** What a task says of endpoints. */
export interface TaskRoute {
  readonly endpoints?: ReadonlyArray<string> | undefined
  readonly strategy?: Strategy | undefined
}

export class Lane {
  readonly root: Node
  readonly members: ReadonlyArray<PoolMember>
  readonly #byModel = new Map<string, ReadonlyArray<PoolMember>>()

  constructor(root: Node, members: ReadonlyArray<PoolMember>) {
    this.root = root
    this.members = members
    for (const { endpoint } of members) {
      if (endpoint.model === undefined || this.#byModel.has(endpoint.model)) continue
      this.#byModel.set(
        endpoint.model,
        members.filter((other) => other.endpoint.model === endpoint.model)
      )
    }
  }

  /** A request that names a model goes to the endpoints that have it as theirs, where there are any. */
  allowed({ model }: Request): ReadonlyArray<PoolMember> {
    return (model === undefined ? undefined : this.#byModel.get(model)) ?? this.members
  }
}

interface Options {
  readonly strategy: Strategy
  readonly tasks: Readonly<Record<string, TaskRoute>>
  readonly random: Random
  readonly moment: Moment
}

export interface Lanes {
  /** By task; under `undefined` that of requests without one. */
  readonly byTask: ReadonlyMap<string | undefined, Lane>
  /** What is wrong with the strategies. */
  readonly fault: string | undefined
}

export const lanesOf = (
  members: ReadonlyArray<PoolMember>,
  { moment, random, strategy, tasks }: Options
): Lanes => {
  const byTask = new Map<string | undefined, Lane>()
  const faults: Array<string> = []
  const treeOf = (strategy: Strategy): Node | undefined => {
    const built = build(strategy, members, random, moment)
    if ("root" in built) return built.root
    faults.push(built.fault)
    return undefined
  }
  const main = treeOf(strategy)
  if (main !== undefined) byTask.set(undefined, new Lane(main, [...new Set(main.leaves)]))
  for (const [name, { endpoints: names, strategy }] of Object.entries(tasks)) {
    const named = names === undefined ? undefined : treeOf({ kind: "roundRobin", members: names })
    const leaves = new Set(named?.leaves ?? members)
    // endpoints that the router's strategy knows nothing of are asked in turn
    const knowsAll = named === undefined || named.leaves.every((leaf) => main?.leaves.includes(leaf))
    const root = strategy !== undefined ? treeOf(strategy) : knowsAll ? main : named
    if (root === undefined) continue
    const used = new Set(root.leaves)
    const allowed = members.filter((member) => leaves.has(member) && used.has(member))
    if (allowed.length === 0) faults.push(`The task "${name}" has no endpoint that its strategy asks`)
    byTask.set(name, new Lane(root, allowed))
  }
  return { byTask, fault: faults[0] }
}
