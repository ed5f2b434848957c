/** The ways to show progress: `--progress` */
export const modes = { auto: "auto", bar: "bar", plain: "plain", json: "json", none: "none" } as const
export type Mode = keyof typeof modes
