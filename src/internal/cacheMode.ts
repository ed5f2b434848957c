/** Which mode a request goes by. */
import type { CacheControl, Request } from "../Request.js"

/**
 * The request's own mode, then the run's, then `readWrite`. The one word of a run that no request can take back is
 * `replay`: whoever says that nothing is sent means every request.
 */
export const modeOf = (
  { cache }: Pick<Request, "cache">,
  run: CacheControl["mode"]
): NonNullable<CacheControl["mode"]> => (run === "replay" ? run : (cache?.mode ?? run ?? "readWrite"))
