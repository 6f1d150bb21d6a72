// Numbers and times as people read them, for all pages: the same as smarthome/words.py.

/** The zone, or the browser's own if it is too old to know it. */
export function known(name) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The house's clock, of which the page brought the time; a tablet's may be minutes off. In ms. */
export function houseClock(iso) {
  const [navigation] = performance.getEntriesByType("navigation");
  const arrivedAt = navigation ? performance.timeOrigin + navigation.responseStart : Date.now();
  const ahead = Date.parse(iso) - arrivedAt;
  return () => Date.now() + ahead;
}

export function amount(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 1e15) return value.toExponential(1).replaceAll("-", "−");
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** Says `["Mon 23 Nov", "07:41"]` of a moment, by the building's clock. */
export function calendarOf(zone) {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, weekday: "short", day: "numeric", month: "short",
    hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
  return (moment) => {
    const part = Object.fromEntries(parts.formatToParts(moment).map((p) => [p.type, p.value]));
    return [`${part.weekday} ${part.day} ${part.month}`, `${part.hour}:${part.minute}`];
  };
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** A scale for values from `least` to `most`, never lower than `span`: a tenth of a degree is no
 * mountain. */
export function roomy(least, most, span) {
  if (least === null) return [0, span];
  const room = Math.max(span - (most - least), (most - least) * 0.15) / 2;
  return [least - room, most + room];
}
