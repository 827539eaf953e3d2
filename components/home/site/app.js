/*
 * The front page. Everything on it comes from the API of the services.
 *
 * theatre.js   Who are you, Now showing, Your bookings, You might like
 * todo.js      To-do
 * requests.js  What just happened
 * part.js      what the parts share: loading, users, the address
 * api.js       requests, problems, the token
 * dom.js       elements, focus, the dialog
 */

import * as theatre from "/site/theatre.js";
import * as todo from "/site/todo.js";

theatre.start();
todo.start();

addEventListener("hashchange", () => {
  theatre.follow();
  todo.follow();
});
