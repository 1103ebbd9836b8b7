/** "Keep listening": asks again when a song should be over, and turns over to the next one. No DOM. */

/** The most questions in a row: an hour or two. */
export const MAX_QUESTIONS = 240;

/** After so many problems in a row it stops. */
export const MAX_PROBLEMS = 3;

const [LEAST_SECONDS, USUAL_SECONDS, MOST_SECONDS] = [15, 30, 120];

/** A song is asked about a little after its end, when the next one has begun. */
const AFTER_SECONDS = 6;

/**
 * Where in the song the stream is now, in seconds; null where that is unknown.
 * @param {{ offset: number | null, length: number | null, heard: number }} song `heard`: when it was at `offset`, in ms
 * @param {number} now in ms
 */
export function positionNow({ offset, length, heard }, now) {
  if (offset === null || length === null || !(length > 0) || Number.isNaN(heard)) return null;
  // The clocks of two machines may differ: what was heard "in the future" was heard now.
  return Math.min(length, offset + Math.max(0, (now - heard) / 1000));
}

/** How long to wait until the next question, in seconds. @param {Identification | null} answer @param {number} now in ms */
export function secondsUntilNext(answer, now) {
  const song = answer?.song;
  if (!song) return USUAL_SECONDS;
  const heard = Date.parse(answer.captured_at ?? answer.finished_at ?? "");
  const at = positionNow({ offset: song.offset, length: song.duration, heard }, now);
  const left = at === null || song.duration === null ? USUAL_SECONDS : song.duration - at + AFTER_SECONDS;
  return Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, left));
}

/** @param {Identification | null} one @param {Identification} other */
const sameSong = (one, other) =>
  one?.song?.title === other.song?.title && String(one?.song?.artists) === String(other.song?.artists);

/**
 * Asks until it is stopped. A moment without a song leaves the last one as it is.
 * @param {object} parts
 * @param {Identification | null} parts.newest what is shown
 * @param {() => Promise<Identification>} parts.ask gives a finished identification
 * @param {(seconds: number) => Promise<void>} parts.pause
 * @param {(answer: Identification, next: boolean) => void} parts.onSong `next`: it is another song than before
 * @param {(error: unknown) => number | null} parts.onProblem seconds to wait, or null to stop
 * @param {AbortSignal} parts.signal
 * @param {() => number} [parts.now] in ms
 */
export async function keepListening({ newest, ask, pause, onSong, onProblem, signal, now = Date.now }) {
  let problems = 0;
  let wait = secondsUntilNext(newest, now());
  for (let left = MAX_QUESTIONS; left > 0 && !signal.aborted; left -= 1) {
    await pause(wait);
    if (signal.aborted) return;
    try {
      const answer = await ask();
      if (signal.aborted) return;
      problems = 0;
      if (answer.song) {
        onSong(answer, !sameSong(newest, answer));
        newest = answer;
      }
      wait = secondsUntilNext(answer, now());
    } catch (error) {
      const seconds = onProblem(error);
      problems += 1;
      if (signal.aborted || seconds === null || problems >= MAX_PROBLEMS) return;
      wait = Math.max(LEAST_SECONDS, seconds);
    }
  }
}
