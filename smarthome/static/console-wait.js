// Asks every second whether a card came, and loads the page anew when there is something to say.

const waiting = document.getElementById("waiting");
const seconds = document.getElementById("seconds");

async function ask() {
  try {
    const answer = await fetch(waiting.dataset.page, { headers: { Accept: "application/json" } });
    const { state, seconds_left: left } = await answer.json();
    if (state !== "waiting") {
      location.reload();
      return;
    }
    seconds.textContent = left;
  } catch {
    // The house is away for a moment; it is asked again.
  }
  setTimeout(ask, 1000);
}

ask();
