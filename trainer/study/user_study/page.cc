#include "trainer/study/user_study/page.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr char kHead[] = R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Which change is the same?</title>
<style>
:root { color-scheme: light dark; --ink: #1d2130; --muted: #666c7d; --card: #fff; --page: #f3f4f8;
  --line: #dfe2ea; --mark: #3268d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf2; --muted: #9aa1b5; --card: #1d212c;
  --page: #12151d; --line: #323848; --mark: #6b9bff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 24px; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin: 0 0 10px; }
p { max-width: 70ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 18px; margin: 18px 0; }
.clips { display: flex; flex-wrap: wrap; gap: 16px; margin: 8px 0 14px; }
img { display: block; border-radius: 6px; background: #fff; max-width: 100%; }
label { border: 2px solid var(--line); border-radius: 10px; padding: 10px; cursor: pointer; }
label:has(input:checked) { border-color: var(--mark); }
label b { margin-left: 4px; }
button { font: inherit; padding: 8px 16px; border-radius: 8px; border: 1px solid var(--mark);
  background: var(--mark); color: #fff; cursor: pointer; margin: 0 8px 8px 0; }
button:disabled { opacity: .45; cursor: default; }
#state { color: var(--muted); }
</style></head><body>
<h1>Which change is the same?</h1>
<p>Every picture below turns back and forth between <em>before</em> and <em>after</em>. In each
question the two examples show one and the same change on two pictures. Choose the picture, A or B,
that shows this change too. If you are not sure, choose what seems closer.</p>
<form id="study" autocomplete="off">
)html";

constexpr char kFoot[] = R"html(</form>
<section><p id="state"></p>
<button type="button" id="finish" disabled>Finish</button>
<button type="button" id="save" disabled>Save the answers (CSV)</button>
<p>Answers stay in this browser until they are saved; nothing is sent anywhere. After
<em>Finish</em> the next participant can begin; the saved file has all of them.</p></section>
<script>
"use strict";
const form = document.getElementById("study");
const study = form.dataset.study, count = Number(form.dataset.questions);
const finish = document.getElementById("finish"), save = document.getElementById("save");
const names = Array.from({length: count}, (_, i) => "q" + (i + 1));
const memory = {};
function read(key, otherwise) {
  try { return JSON.parse(localStorage.getItem("study " + study + key)) ?? otherwise; }
  catch { return memory[key] ?? otherwise; }
}
function write(key, value) {
  memory[key] = value;
  try { localStorage.setItem("study " + study + key, JSON.stringify(value)); } catch { }
}
let answers = read(" answers", {}), rows = read(" rows", []);
function show() {
  const given = names.filter(name => answers[name]).length;
  document.getElementById("state").textContent = given + " of " + count + " questions answered; " +
    rows.length + (rows.length === 1 ? " participant" : " participants") + " finished";
  finish.disabled = given < count;
  save.disabled = rows.length === 0;
}
function fill() {
  for (const input of form.querySelectorAll("input"))
    input.checked = answers[input.name] === input.value;
  show();
}
form.addEventListener("change", event => {
  answers[event.target.name] = event.target.value;
  write(" answers", answers);
  show();
});
finish.addEventListener("click", () => {
  rows.push([new Date().toISOString(), study, ...names.map(name => answers[name])]);
  answers = {};
  write(" rows", rows);
  write(" answers", answers);
  fill();
  window.scrollTo(0, 0);
});
save.addEventListener("click", () => {
  const header = ["Timestamp", "Study", ...names.map((_, i) => "Question " + (i + 1))];
  const text = [header, ...rows].map(row => row.map(v => '"' + v + '"').join(",")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "answers-" + study + ".csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
fill();
</script></body></html>
)html";

std::string Image(const std::string& gif, const std::string& alt) {
  return absl::StrCat("<img alt=\"", alt, "\" src=\"data:image/gif;base64,",
                      absl::Base64Escape(gif), "\">");
}

std::string ChoiceHtml(size_t number, char letter, const std::string& gif) {
  const std::string name(1, letter);
  return absl::StrCat("<label>", Image(gif, absl::StrCat("choice ", name)),
                      "<input type=\"radio\" name=\"q", number, "\" value=\"", name, "\"><b>", name,
                      "</b></label>\n");
}

}  // namespace

std::string StudyPage(const std::string& study, std::span<const QuestionGifs> questions) {
  std::string sections;
  for (size_t q = 0; q < questions.size(); ++q) {
    const QuestionGifs& gifs = questions[q];
    absl::StrAppend(
        &sections, "<section><h2>Question ", q + 1, "</h2>These two change alike:\n",
        "<div class=\"clips\">", Image(gifs[0], "first example"), Image(gifs[1], "second example"),
        "</div>\nWhich of these changes in the same way?\n<div class=\"clips\">",
        ChoiceHtml(q + 1, 'A', gifs[2]), ChoiceHtml(q + 1, 'B', gifs[3]), "</div></section>\n");
  }
  std::string head = kHead;
  const std::string form = "<form id=\"study\"";
  head.insert(
      head.find(form) + form.size(),
      absl::StrCat(" data-study=\"", study, "\" data-questions=\"", questions.size(), "\""));
  return absl::StrCat(head, sections, kFoot);
}

}  // namespace stylex
