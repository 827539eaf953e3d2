/*
 * The front page. Everything on it comes from the API.
 *
 * theatre.js   Cinema 3
 * todo.js      the To-Do Manager
 * list.js      saves a list, merged with what others have saved
 * picture.js   the services, and the way of the last request
 * requests.js  the last requests
 * part.js      loading, users, the address
 * api.js       requests, problems, the token
 * dom.js       elements, focus, the dialog
 */

import { announce, byId } from "./dom.js";
import * as picture from "./picture.js";
import * as theatre from "./theatre.js";
import * as todo from "./todo.js";

let lookedAt = -Infinity;

byId("no-script").remove();
byId("stage").hidden = false;
picture.start();
theatre.start();
todo.start();

addEventListener("hashchange", () => {
  theatre.readAddress();
  todo.readAddress();
});

addEventListener("back", () => {
  announce("The server is back.");
  lookAgain();
});
addEventListener("focus", lookAgain);
document.addEventListener("visibilitychange", lookAgain);

/** Shows what others have changed, and tries again what has failed. */
function lookAgain() {
  // A tab that is shown gets the focus, too.
  if (document.hidden || performance.now() - lookedAt < 100) return;
  lookedAt = performance.now();
  picture.lookAgain();
  theatre.lookAgain();
  todo.lookAgain();
}
