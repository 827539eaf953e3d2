// Who are you, Now showing, Your bookings and You might like.

import { isWritable, write } from "/site/api.js";
import { announce, button, h } from "/site/dom.js";
import {
  askFor, choose, chosen, newPart, newUsers, pathTo, problemView, setDefault, showParts,
} from "/site/part.js";

const dateStyle = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
const dateFormat = new Intl.DateTimeFormat("en-GB", { ...dateStyle, timeZone: "UTC" });
const NONE = new Map();

const users = newUsers("user", "/users", follow);
const showtimes = newPart("The shows are missing.", () => askFor("/showtimes"), follow);
const movies = newPart("Titles and ratings are missing.", () => askFor("/movies"), show);
const seats = newPart("The seats are unknown.", () => askFor(pathTo("seats", state.date)), show);
const bookings = newPart("Bookings or their titles are missing.", askForBookings, show);
const suggestions = newPart(
  "The suggestions are missing.",
  () => askFor(pathTo("users", state.user, "suggested")),
  show,
);

/** `user` and `date` are those of the bookings and seats. `writes` are what goes on, by path. */
const state = { user: null, date: null, canBook: null, writes: new Map() };

export async function start() {
  users.load();
  showtimes.load();
  movies.load();
  state.canBook = await isWritable("/bookings/user/date/movie");
  show();
}

/** Follows the address: loads what depends on another choice. */
export function follow() {
  setDefault("date", showtimes.value?.keys().next().value);
  const date = showtimes.value && chosen("date");
  if (date !== state.date) {
    state.date = date;
    seats.clear();
    if (date) seats.load();
  }
  const user = users.follow();
  if (user !== state.user) {
    state.user = user;
    state.writes.clear();
    bookings.clear();
    suggestions.clear();
    if (user) bookings.load();
    if (user) suggestions.load();
  }
  show();
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

async function change(movie, isBooked) {
  const { user } = state;
  const path = pathOf(movie);
  state.writes.set(path, { doing: isBooked ? "Cancelling…" : "Booking…" });
  show();
  const answer = await write(isBooked ? "DELETE" : "PUT", path);
  const wasGone = isBooked && answer.status === 404;
  const isDone = answer.ok || wasGone;
  const name = `${titleOf(movie)} on ${formatDate(movie.date)}`;
  const problem = wasGone ? `${name} was already cancelled.` : answer.problem;
  announce(problem ?? `${isBooked ? "Cancelled" : "Booked"} ${name}.`);
  if (user !== state.user) return;
  state.writes.set(path, { problem });
  if (isDone) {
    const others = (bookings.value ?? []).filter((other) => pathOf(other) !== path);
    bookings.value = isBooked ? others : [...others, movie];
  }
  show();
  if (!isDone && answer.status !== 409) return;
  seats.load();
  bookings.load();
  suggestions.load();
}

function show() {
  showParts("shows", [showtimes], showsView());
  showParts("bookings", [bookings, users], bookingsView());
  showParts("suggestions", [suggestions, users], suggestionsView());
}

function showsView() {
  const ids = showtimes.value?.get(state.date);
  const found = ids?.map((id) => ({ ...movies.value?.get(id), id, date: state.date }));
  return [
    movies.trouble(),
    seats.trouble(),
    state.canBook === false && h("p.note", "Without a database, nothing can be booked."),
    showtimes.value && datesView([...showtimes.value.keys()]),
    showtimes.value && !ids && h("p.quiet", "There are no shows."),
    found && h("ol.rows", found.sort(compareRatings).map(showView)),
  ];
}

function datesView(dates) {
  const radio = (date) => ({ type: "radio", name: "date", checked: date === state.date });
  return h("fieldset.dates",
    h("legend.hidden", "Date"),
    dates.map((date) =>
      h("label", { key: date },
        h("input", { ...radio(date), value: date, onchange: () => choose({ date }) }),
        h("span", formatDate(date)))));
}

function compareRatings(a, b) {
  return (b.rating ?? 0) - (a.rating ?? 0) || titleOf(a).localeCompare(titleOf(b));
}

function showView(movie) {
  const isBooked = bookings.value?.some((other) => pathOf(other) === pathOf(movie));
  const room = seats.value?.get(movie.id);
  const isSoldOut = room?.left === 0;
  const left = room ? `${room.left} of ${room.seats} seats left` : "No bookings yet";
  return h("li", { key: movie.id },
    ratingView(movie),
    h("div.what", titleView(movie), movie.director && h("p.quiet", movie.director)),
    isBooked && h("p.badge.yes", "Booked"),
    seats.value && h(isSoldOut ? "p.badge" : "p.quiet", isSoldOut ? "Sold out" : left),
    writeViews(movie, isBooked, isSoldOut && !isBooked, ""));
}

function bookingsView() {
  if (bookings.value?.length === 0) return [h("p.quiet", "No bookings yet.")];
  const dates = Object.groupBy(bookings.value ?? [], ({ date }) => date);
  return Object.entries(dates).map(([date, list]) =>
    h("div", { key: date },
      h("h3", formatDate(date)),
      h("ul.rows", list.map(bookingView))));
}

function bookingView({ date, ...rest }) {
  const movie = { date, ...movies.value?.get(rest.id), ...rest };
  return h("li", { key: movie.id },
    ratingView(movie),
    h("div.what", titleView(movie)),
    writeViews(movie, true, false, ` on ${formatDate(date)}`));
}

/** The button to book or cancel, and what is wrong with that. */
function writeViews(movie, isBooked, isOff, where) {
  const { doing, problem } = state.writes.get(pathOf(movie)) ?? {};
  const isReady = state.canBook && state.user && (bookings.value || bookings.problem);
  const verb = isBooked ? "Cancel" : "Book";
  const label = `${verb} ${titleOf(movie)}${where}`;
  const props = { key: "write", class: isBooked ? null : "main" };
  return [
    doing && h("p.badge", { key: "doing" }, doing),
    isReady && button(verb, label, doing || isOff, () => change(movie, isBooked), props),
    problemView(problem),
  ];
}

function suggestionsView() {
  if (suggestions.value?.length === 0) return [h("p.quiet", "You have booked every movie.")];
  return [suggestions.value && h("ol.rows", suggestions.value.map(withId).map(suggestionView))];
}

function suggestionView(movie) {
  return h("li", { key: movie.id }, ratingView(movie), h("div.what", titleView(movie)));
}

function ratingView({ rating }) {
  return h("p.rating", h("span.hidden", "Rated "), rating?.toFixed(1) ?? "–");
}

function titleView(movie) {
  return h("a.title", { href: pathTo("movies", movie.id) }, titleOf(movie));
}

function titleOf({ id, title }) {
  return title || id;
}

function pathOf({ date, id }) {
  return pathTo("bookings", state.user, date, id);
}

/** `20151201` becomes `Tue, 1 Dec 2015`; what is no date stays as it is. */
function formatDate(date) {
  const time = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3T00:00Z"));
  return Number.isNaN(time) ? date : dateFormat.format(time);
}
