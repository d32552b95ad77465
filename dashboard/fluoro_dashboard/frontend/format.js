// Numbers as people read them; format.py does the same on the server. Pure.

const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** Three significant digits. */
export function significant(value) {
  if (value >= 99.95) return Math.round(value).toLocaleString("en-US");
  if (value >= 9.995) return trim(value.toFixed(1));
  return trim(value.toFixed(2));
}

/** Seconds as "87 µs", "4.21 ms", "1.2 s", "3 min 20 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  if (seconds <= 0) return "0 ms";
  if (seconds < 0.0009995) return `${significant(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${significant(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${significant(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

export function rate(perSecond) {
  if (!(perSecond > 0)) return "0/s";
  return perSecond >= 0.95 ? `${significant(perSecond)}/s` : `${significant(perSecond * 60)}/min`;
}

/** A share 0…1; never rounds a failure away or up to everything. */
export function percent(share) {
  if (!(share > 0)) return "0 %";
  if (share >= 1) return "100 %";
  const value = share * 100;
  if (value < 0.1) return "<0.1 %";
  if (value > 99.9) return ">99.9 %";
  return `${value < 10 || value > 90 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** Round positions 1-2-5 in [low, high], about `wanted` of them. */
export function ticks(low, high, wanted) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + span * 1e-9; index += 1) found.push(index * step + 0);
  return found;
}

/** At most `size` characters, the middle cut out. */
export function shorten(text, size) {
  if (text.length <= size) return text;
  const head = Math.ceil((size - 1) * 0.6);
  return `${text.slice(0, head)}…${text.slice(text.length - (size - 1 - head))}`;
}
