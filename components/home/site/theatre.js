// Cinema 3: Now showing, Your bookings, You might like, and a movie in a dialog.

import { isWritable, write } from "./api.js";
import { announce, button, byId, h, render } from "./dom.js";
import {
  askFor, choose, chosen, newPart, newUsers, pathTo, problemView, setDefault, showParts,
} from "./part.js";

const dateStyle = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };
const NONE = new Map();

const users = newUsers("user", "/users", readAddress);
const showtimes = newPart("The shows are missing.", () => askFor("/showtimes"), readAddress);
const movies = newPart("Titles and ratings are missing.", () => askFor("/movies"), show);
const seats = newPart("The seats are unknown.", askForSeats, show);
const bookings = newPart("Bookings or their titles are missing.", askForBookings, show);
const suggestions = newPart(
  "The suggestions are missing.",
  () => askFor(pathTo("users", state.user, "suggested")),
  show,
);

/** `movie` is the id of the open one. `writes` are under way or failed, by path. */
const state = { user: null, date: null, movie: null, canBook: null, writes: new Map() };

export async function start() {
  byId("movie").onclose = () => {
    state.movie = null;
    // What opened it may be gone.
    if (document.activeElement.matches("body, dialog *")) byId("shows-title").focus();
  };
  users.load();
  showtimes.load();
  movies.load();
  state.canBook = await isWritable("/bookings/user/date/movie");
  show();
}

/** Follows the address: loads what depends on another choice. */
export function readAddress() {
  setDefault("date", showtimes.value?.keys().next().value);
  const date = showtimes.value && chosen("date");
  if (date !== state.date) {
    state.date = date;
    seats.clear();
    loadSeats();
  }
  const user = users.show();
  if (user !== state.user) {
    state.user = user;
    forgetProblems();
    bookings.clear();
    suggestions.clear();
    loadBookings();
  }
  show();
}

/** Loads what others may have changed, and what was missing. */
export function lookAgain() {
  for (const part of [users, showtimes, movies]) if (part.problem) part.load();
  forgetProblems();
  loadSeats();
  loadBookings();
}

function forgetProblems() {
  for (const [path, { doing }] of state.writes) if (!doing) state.writes.delete(path);
}

function loadSeats() {
  if (state.date || state.movie) seats.load();
}

function loadBookings() {
  if (!state.user) return;
  bookings.load();
  suggestions.load();
}

/** Gives the seats on the date that is shown, and on those of the open movie. */
async function askForSeats() {
  const dates = [...new Set([state.date, ...datesOf(state.movie)])].filter(Boolean);
  const answers = await Promise.all(dates.map((date) => askFor(pathTo("seats", date), NONE)));
  const failed = answers.find(({ problem }) => problem);
  return failed ?? { value: new Map(dates.map((date, index) => [date, answers[index].value])) };
}

/** Gives `{ date, id, title, rating }` of each. Without `movies`, ids are enough to go on. */
async function askForBookings() {
  const { user } = state;
  const { value, problem } = await askFor(pathTo("users", user, "bookings"), NONE);
  if (value) return { value: flatten(value, withId) };
  const ids = await askFor(pathTo("bookings", user), NONE);
  return { value: ids.value && flatten(ids.value, (id) => ({ id })), problem };
}

function flatten(dates, describe) {
  const describeAll = ([date, list]) => list.map((movie) => ({ date, ...describe(movie) }));
  return [...dates].flatMap(describeAll);
}

function withId(movie) {
  return { ...movie, id: decodeURIComponent(movie.uri.slice("/movies/".length)) };
}

function datesOf(id) {
  return [...(showtimes.value ?? [])].filter(([, ids]) => ids.includes(id)).map(([date]) => date);
}

async function change(movie, isBooked) {
  const { user } = state;
  const path = pathOf(movie);
  state.writes.set(path, { doing: isBooked ? "Cancelling…" : "Booking…" });
  show();
  const answer = await write(isBooked ? "DELETE" : "PUT", path);
  // It may be cancelled already.
  const isDone = answer.ok || (isBooked && answer.status === 404);
  const problem = isDone ? null : answer.problem;
  const outcome = isBooked ? "Cancelled" : "Booked";
  announce(problem ?? `${outcome} ${titleOf(movie)} on ${formatDate(movie.date)}.`);
  state.writes.delete(path);
  const isOther = isDone || answer.status === 409;
  if (isOther) loadSeats();
  if (user !== state.user) return;
  state.writes.set(path, { problem });
  if (isDone) {
    const others = (bookings.value ?? []).filter((other) => pathOf(other) !== path);
    bookings.value = isBooked ? others : [...others, movie];
  }
  if (isOther) loadBookings();
  show();
}

function open(id) {
  state.movie = id;
  show();
  byId("movie").showModal();
  loadSeats();
}

function show() {
  showParts("shows", [showtimes], showsView());
  showParts("bookings", [bookings, users], bookingsView());
  showParts("suggestions", [suggestions, users], suggestionsView());
  if (state.movie) render(byId("movie"), movieView(describe({ id: state.movie })));
}

function showsView() {
  const ids = showtimes.value?.get(state.date);
  const found = ids?.map((id) => describe({ id, date: state.date }));
  return [
    movies.problemView(),
    seats.problemView(),
    state.canBook === false && h("p.note", "Without a database, nothing can be booked."),
    showtimes.value && datesView([...showtimes.value.keys()]),
    showtimes.value && !ids && h("p.quiet", "There are no shows."),
    found && h("ol.rows", found.sort(compareRatings).map((movie) =>
      rowView(movie, showView(movie, ""), movie.director))),
  ];
}

function rowView(movie, controls, about) {
  return h("li", { key: movie.id },
    ratingView(movie),
    h("div.what", titleView(movie), about && h("p.quiet", about)),
    controls);
}

/** What is known of a movie, and of its show. */
function describe(movie) {
  return { ...movies.value?.get(movie.id), ...movie };
}

function datesView(dates) {
  return h("fieldset.dates",
    h("legend.hidden", "Date"),
    dates.map((date) => {
      const checked = date === state.date;
      const onchange = () => choose({ date });
      return h("label", { key: date },
        h("input", { type: "radio", name: "date", checked, onchange }),
        h("span", formatDate(date, {})));
    }));
}

function compareRatings(a, b) {
  return (b.rating ?? 0) - (a.rating ?? 0) || titleOf(a).localeCompare(titleOf(b));
}

function showView(movie, where) {
  const isBooked = bookings.value?.some((other) => pathOf(other) === pathOf(movie));
  const shows = seats.value?.get(movie.date);
  const count = shows?.get(movie.id);
  const isSoldOut = count?.left === 0;
  const left = count ? `${count.left} of ${count.seats} seats left` : "No bookings yet";
  return [
    isBooked && h("p.badge.yes", { key: "booked" }, "Booked"),
    shows && h(isSoldOut ? "p.badge" : "p.quiet", { key: "seats" }, isSoldOut ? "Sold out" : left),
    writeViews(movie, isBooked, isSoldOut && !isBooked, where),
  ].flat();
}

function bookingsView() {
  if (bookings.value?.length === 0) return [h("p.quiet", "No bookings yet.")];
  const dates = Object.groupBy(bookings.value ?? [], ({ date }) => date);
  return Object.entries(dates).map(([date, list]) =>
    h("div", { key: date },
      h("h4", formatDate(date)),
      h("ul.rows.tickets", list.map(describe).map((movie) =>
        rowView(movie, writeViews(movie, true, false, ` on ${formatDate(date)}`))))));
}

/** The button to book or cancel, and what is wrong with that. */
function writeViews(movie, isBooked, isDisabled, where) {
  const { doing, problem } = state.writes.get(pathOf(movie)) ?? {};
  const isReady = state.canBook && state.user && (bookings.value || bookings.problem);
  const verb = isBooked ? "Cancel" : "Book";
  const props = { key: "write", class: isBooked ? "write" : "write main" };
  const act = () => change(movie, isBooked);
  const label = `${verb} ${titleOf(movie)}${where}`;
  return [
    isReady && button(doing ?? verb, label, doing || isDisabled, act, props),
    problemView(problem),
  ];
}

function suggestionsView() {
  if (suggestions.value?.length === 0) return [h("p.quiet", "You have booked every movie.")];
  return [suggestions.value && h("ol.rows", suggestions.value.map(withId).map((movie) =>
    rowView(movie, button("Dates", `Dates of ${titleOf(movie)}`, false, () => open(movie.id)))))];
}

function movieView(movie) {
  const dates = datesOf(movie.id);
  return h("div", { key: movie.id },
    h("h2", { id: "movie-title", tabindex: -1 }, titleOf(movie)),
    h("p.quiet", movie.director && `Directed by ${movie.director}`),
    h("p.line", ratingView(movie)),
    seats.problemView(),
    showtimes.value && !dates.length && h("p.quiet", "It is not shown."),
    h("ul.rows", dates.map((date) =>
      h("li", { key: date },
        h("div.what", formatDate(date)),
        showView({ ...movie, date }, ` on ${formatDate(date)}`)))),
    button("Close", null, false, () => byId("movie").close()));
}

function ratingView({ rating }) {
  return h("p.rating", h("span.hidden", "Rated "), rating?.toFixed(1) ?? "–");
}

/** A link that opens the movie here, unless the browser is asked for another tab. */
function titleView(movie) {
  const onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(movie.id);
  };
  return h("a.title", { href: pathTo("movies", movie.id), onclick }, titleOf(movie));
}

function titleOf({ id, title }) {
  return title || id;
}

function pathOf({ date, id }) {
  return pathTo("bookings", state.user, date, id);
}

/** `20151201` becomes `Tue, 1 Dec 2015`; what is no date stays as it is. */
function formatDate(date, more = { year: "numeric" }) {
  const time = new Date(date.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3"));
  return Number.isNaN(+time) ? date : time.toLocaleDateString("en-GB", { ...dateStyle, ...more });
}
