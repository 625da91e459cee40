// Work that the trainer does: asked for, watched while it runs, and answered by its result.

import {job, send} from "./api.js";

/**
 * Send rows or options to the trainer and answer the result; `progress(record)` hears how far the job is. Throws its problem.
 * `patient` asks to hear of the job at once instead of waiting for short ones to end.
 */
export async function work(path, options, {progress, patient = false, signal} = {}) {
  const headers = {...options.headers, ...(patient ? {Prefer: "respond-async"} : {})};
  const answer = await send("POST", path, {...options, headers, signal});
  if (!("state" in answer)) return answer;
  progress?.(answer);
  return (await job(`/jobs/${answer.id}`, progress, {signal})).result;
}
