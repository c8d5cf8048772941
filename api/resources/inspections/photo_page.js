// Shows the photos of an inspection to whoever is signed in, and asks others to sign in. Its texts
// are data of the page.
"use strict";
const note = document.getElementById("note");
const signIn = document.getElementById("sign-in");
const photos = document.getElementById("photos");

async function show() {
  const path = `/v1/inspection-forms/${photos.dataset.form}`;
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const found = await answer.json();
  signIn.hidden = answer.status !== 401;
  if (answer.status === 401) {
    note.textContent = photos.dataset.asked;
  } else if (answer.ok) {
    list(found);
  } else {
    sayWhy(found);
  }
}

function sayWhy(problem) {
  note.textContent = `${photos.dataset.failed} ${problem.detail}`;
}

function list(form) {
  const answers = Object.values(form.answers).map((answer) => answer.value);
  const ids = new Set(answers.filter(Array.isArray).flat()); // only photos are lists
  note.textContent = `${form.template_name}. ${photos.dataset.count} ${ids.size}`;
  for (const id of ids) {
    const image = document.createElement("img");
    image.src = `/v1/attachments/${id}/content`;
    image.alt = photos.dataset.each;
    image.loading = "lazy";
    image.className = "photo";
    photos.append(image);
  }
}

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = [...new FormData(signIn)].filter(([, value]) => value !== "");
  const answer = await fetch("/v1/auth/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(given)),
  });
  if (answer.status === 201) {
    signIn.reset();
    await show();
  } else {
    sayWhy(await answer.json());
  }
});
show();
