/** A few bars of music for the simulated stream, made of the browser's own oscillators. */

const BEAT_SECONDS = 0.24;
/** In half tones from A3: a bass note, and the chord that is broken above it. */
const BARS = [[0, 12, 15, 19], [-4, 12, 15, 20], [-9, 10, 15, 19], [-2, 10, 14, 17]];
const PATTERN = [1, 2, 3, 2, 1, 2, 3, 2];

/** @returns {{ toggle(): boolean }} whether it plays now */
export function tune() {
  /** @type {AudioContext | null} */
  let context = null;
  let timer = 0;
  let beat = 0;
  let next = 0;

  /** @param {AudioContext} audio @param {number} halfTones @param {number} at @param {number} seconds @param {number} loudness */
  function sound(audio, halfTones, at, seconds, loudness) {
    const [oscillator, volume] = [audio.createOscillator(), audio.createGain()];
    oscillator.type = "triangle";
    oscillator.frequency.value = 220 * 2 ** (halfTones / 12);
    volume.gain.setValueAtTime(loudness, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + seconds);
    oscillator.connect(volume).connect(audio.destination);
    oscillator.start(at);
    oscillator.stop(at + seconds);
  }

  /** Plans the beats of the next half second. @param {AudioContext} audio */
  function plan(audio) {
    for (; next < audio.currentTime + 0.5; next += BEAT_SECONDS, beat += 1) {
      const bar = BARS[Math.floor(beat / PATTERN.length) % BARS.length] ?? [];
      const at = beat % PATTERN.length;
      if (at % 4 === 0) sound(audio, (bar[0] ?? 0) - 12, next, 0.9, 0.16);
      sound(audio, bar[PATTERN[at] ?? 1] ?? 0, next, 0.5, 0.08);
    }
  }

  return {
    toggle() {
      clearInterval(timer);
      if (context) {
        void context.close();
        context = null;
        return false;
      }
      const audio = new AudioContext();
      context = audio;
      [beat, next] = [0, audio.currentTime + 0.05];
      plan(audio);
      timer = window.setInterval(plan, 200, audio);
      return true;
    },
  };
}
