import { fileURLToPath } from "node:url"
import { configDefaults, defineConfig } from "vitest/config"
import LongestFirst from "./test/sequencer.js"

const source = fileURLToPath(new URL("./src", import.meta.url))

export default defineConfig({
  resolve: {
    // tests and examples import what users import
    alias: [
      { find: /^floodgate$/, replacement: `${source}/index.ts` },
      { find: /^floodgate\/(.*)$/, replacement: `${source}/$1.ts` }
    ]
  },
  test: {
    include: ["{test,examples}/**/*.test.ts"],
    // installs from the registry: npm run test:release
    exclude: [...configDefaults.exclude, "test/release.test.ts"],
    reporters: process.env.CI === undefined ? ["default"] : ["default", "./test/reporter.ts"],
    // child processes run the built command line
    globalSetup: ["test/build.ts"],
    setupFiles: ["test/seed.ts"],
    // much of the time goes to waiting for processes: a file for each core
    maxWorkers: 2,
    minWorkers: 1,
    // Half of the time went to loading the same modules for each file. So no file may use `layer` of @effect/vitest: it
    // changes `it` for all that share its process.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // Many tests run real processes against real clocks, on a machine that may stand still for seconds: a limit is there
    // to end what hangs. In CI a test that fails is run again, and test/reporter.ts names it, with what went wrong.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    retry: process.env.CI === undefined ? 0 : 2
  }
})
