// The front page, made from nothing but the API. Its two halves are theatre.js and todo.js.

import { announce, byId } from "./dom.js";
import * as happened from "./happened.js";
import * as theatre from "./theatre.js";
import * as todo from "./todo.js";

let lookedAt = -Infinity;

byId("no-script").remove();
byId("stage").hidden = false;
happened.start();
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
  happened.lookAgain();
  theatre.lookAgain();
  todo.lookAgain();
}
