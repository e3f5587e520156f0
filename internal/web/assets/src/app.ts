// Small helps for pages that also work without them. Every help finds its own
// elements; the words come from data attributes of the body, already in the
// language of the page.
import { tellClock } from "./clock";
import { watchCodes } from "./code";
import { copyButtons, printButtons } from "./copy";
import { hints } from "./hints";
import { keepTyped } from "./keep";
import { renew } from "./renew";
import { sendOnce, sendNow } from "./once";

const helps = [tellClock, watchCodes, copyButtons, printButtons, hints, keepTyped, renew, sendOnce, sendNow];
for (const help of helps) {
  try {
    help();
  } catch (problem) {
    console.warn(problem); // one help that fails must not take the others along
  }
}
