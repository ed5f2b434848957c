/** Names the tests that had to run again, and closes with one plain line, `N passed, N failed`, for other programs. */
import { relative } from "node:path"
import type { Reporter, TestModule } from "vitest/node"

export default class PlainSummary implements Reporter {
  async onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>): Promise<void> {
    // the default reporter prints its summary after this event: the plain line is to be the last one
    await new Promise((resolve) => setImmediate(resolve))
    const counts = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { errors, state } = test.result()
        counts[state]++
        const retries = test.diagnostic()?.retryCount ?? 0
        if (retries === 0) continue
        const reasons = (errors ?? []).map(({ message }) => `\n  ${message}`).join("")
        process.stdout.write(
          `\nRETRIED ${retries} times, ${state}: ${relative(process.cwd(), module.moduleId)} > ${test.fullName}${reasons}\n`
        )
      }
      // a file that cannot be loaded, or a hook that fails, counts like a test
      counts.failed += module.errors().length
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
    }
    const { failed, passed } = counts
    const skipped = counts.skipped + counts.pending
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`)
  }
}
