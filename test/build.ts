/**
 * Builds the package once before the tests: those that start processes run what is shipped. The JavaScript alone, in a
 * third of the time: `npm run check` says what is wrong with the types, and test/package.test.ts builds all of it.
 */
import { execFileSync } from "node:child_process"

export default function setup(): void {
  if (process.env["FLOODGATE_TEST_NO_BUILD"] !== undefined) return
  execFileSync("npm", ["run", "-s", "compile:js"], { stdio: "inherit" })
}
