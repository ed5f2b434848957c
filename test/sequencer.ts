/** The files that take longest come first: one of them begun last would run on alone when all others are done. */
import { basename } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

// in a clean checkout there are no times of an earlier run, and Vitest would go by the size of the files
const longest = [
  "conformance.test.ts",
  "cliBatch.test.ts",
  "readme.test.ts",
  "rateLimiterRedis.test.ts",
  "cliInterrupt.test.ts",
  "cliCache.test.ts",
  "cacheProcesses.test.ts",
  "live.test.ts",
  "examples.test.ts"
]

const rank = ({ moduleId }: TestSpecification): number => {
  const index = longest.indexOf(basename(moduleId))
  return index < 0 ? longest.length : index
}

export default class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return sorted.sort((one, other) => rank(one) - rank(other))
  }
}
