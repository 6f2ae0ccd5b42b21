// A click on what has a time moves the player there; its time moves a line over the rows.
const player = () => document.querySelector('.vz-player');
element.addEventListener('click', event => {
  const clicked = event.target.closest('[data-at]');
  if (!clicked || !player()) return;
  player().currentTime = Number(clicked.dataset.at);
  player().scrollIntoView({block: 'nearest', behavior: 'smooth'});
});
// such events do not bubble, so they are caught on their way down
const follow = (name, react) => document.addEventListener(name, event => {
  if (event.target === player()) react(event.target);
}, true);
const move = video => element.querySelectorAll('.vz-rows').forEach(rows =>
  rows.style.setProperty('--now', video.currentTime / Number(rows.dataset.seconds)));
follow('timeupdate', move);
follow('seeked', move);
follow('error', () => element.querySelectorAll('.vz-unplayable').forEach(note =>
  note.style.display = 'block'));
