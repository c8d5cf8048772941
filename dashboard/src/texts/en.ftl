# Texts of the web application. Names of problems are `problem-` and the code of the API.

## Everywhere

loading = Loading …
navigation = Main navigation
skip-to-content = Skip to the content
language = Language
version = Version { $version }
api-reference = API reference
sign-out = Sign out
copy = Copy
name = Name
created = Made
actions = Actions
never = never
problem = Something went wrong
request-id = Request { $id }
not-found = There is no such page
not-found-hint = Check the address, or go on from the navigation above.

search = Search
search-hint = Machines, zones, trackers, people, pages
found = What was found
nothing-found = Nothing begins with that.
page = Page
kind-of-asset = Machine
kind-of-zone = Zone
kind-of-tracker = Tracker
kind-of-user = User

page-failed = This page has failed. This is a fault of ours.
load-again = Load again
not-signed-out = You are still signed in: the server could not be reached. Try again.
sure-delete = Delete “{ $name }”?
sure-revoke = Revoke “{ $name }”? What uses it stops working.
sure-role = Make { $name } { $role }?
sure-deactivate = Switch { $name } off? Their sessions and keys end at once.

## Signing in

sign-in = Sign in
email = Email
password = Password
organization-id = Organization id
organization-id-hint = Only needed where your email belongs to several organizations.
forgot-password = Forgot the password?
forgot-password-hint = You get a letter with a link by which you set another password.
send-link = Send the link
link-is-sent = If there is such a user, a letter with a link is on its way.
back-to-sign-in = Back to the sign-in
invitation = Welcome
invitation-hint = Choose a password. With your email it is how you sign in from now on.
new-password = A new password
new-password-hint = Choose another password. You are signed out everywhere else.
password-hint = 12 characters or more. Long and easy to remember is good.
set-password = Set the password
link-without-token = This link is not whole. Open it as it stands in the letter.
sign-in-wrong = The email or the password is wrong. If your email belongs to several organizations, give the organization id, too.

## Live map

map = Map
assets = Assets
find-asset = Find an asset by its name
by-state = By state
state-moving = Moving
state-standing = Standing
state-silent = Silent
state-unknown = No position
no-assets = There are no assets yet. Make one and put a tracker on it: its position shows here by itself.
none-found = No asset fits. Take a filter away.
no-webgl = This browser cannot draw the map (WebGL is missing). The list has everything that the map shows.
just-now = just now
seconds-ago = { $count } s ago
minutes-ago = { $count } min ago
hours-ago = { $count } h ago
days-ago = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
live-lost = The connection was lost: what you see is not live. It is tried again by itself.
live-lost-restarting = The server restarts: what you see is not live. It goes on by itself.
live-lost-too-slow = Your connection was too slow for all that happens. It goes on by itself.
live-lost-too-many-connections = Your organization has as many live connections as its plan allows: close another page.
live-ended = The live connection has ended. Load the page again.
live-ended-forbidden = Your rights have changed. Load the page again to see what you may see now.
live-ended-plan-required = Your plan has no live positions.
connect-now = Try now

## History

history = History
choose-asset = Choose a machine
from = From
to = To
no-fixes = There are no positions of this time.
only-newest-fixes = These are the newest { $count } positions: choose a shorter time.
greatest-speed = Speeds, at most
instant = Moment
play = Play
pause = Pause
pace = Pace
visits = Visits

## Zones

zones = Zones
no-zones = There are no zones yet. Draw the first one.
draw = Draw a zone
draw-polygon = Area
draw-point = Circle
draw-linestring = Corridor
draw-polygon-hint = Click the corners on the map, and the first one again at the end. Corners can be moved afterwards.
draw-point-hint = Click the centre on the map, or give it by numbers.
draw-linestring-hint = Click along the way on the map, and the last place again at the end.
change-hint = Move the corners on the map. What has arrived already stays as it was judged.
kind = Kind
kind-restricted = Restricted: entering alerts
kind-allowed = Allowed: leaving alerts
kind-jobsite = Job site
kind-yard = Yard
kind-other = Other
radius = Radius, m
width = Width, m
latitude = Latitude
longitude = Longitude
save = Save
cancel = Cancel
change = Change
delete = Delete
not-drawable = This zone has several parts, or a hole: its shape is changed by the API.
all-zones = All zones
kind-hint = What the zone is for. It decides what alerts, unless something else is chosen below.
area = { NUMBER($hectares, maximumFractionDigits: 2) } ha
number-wanted = A number is needed here.
alerts = Alerts
alerts-hint = Which of a machine's doings send a breach.
alerts-by-kind = As the kind has it
alerts-own = Chosen here
alert-enter = Entering
alert-exit = Leaving
alert-pass-through = Passing through
alert-none = nothing alerts
machines = Machines
machines-hint = Other machines are not looked at in this zone.
machines-all = All machines
machines-some = Only some
machines-tags = With any of these tags
machines-tags-hint = With commas between: crane, rented. A machine that gets such a tag later counts, too.
hours = Hours
hours-hint = Outside these hours nothing alerts; visits are recorded all the same.
hours-always = Always
hours-chosen = At some hours of the week
hours-number = Hours { $number }
hours-add = Add hours
time-zone = Time zone
time-zone-hint = Where the zone lies, so that the hours follow its summer time.
days = Days
remove = Remove
speed-limit = Speed limit, km/h
speed-limit-hint = The first position of a visit that is faster alerts. Empty: no limit.
dwell = Long stay, minutes
dwell-hint = After so long inside there is one alert. Empty: none.
silence = End by silence, minutes
silence-hint = So long after the last position a visit ends. Empty: never.
fine-rules = When it counts as entered or left
fine-rules-hint = What is empty is as your organization has it.
exit-buffer = Margin of leaving, m
exit-buffer-hint = Left only when so far outside. A margin helps at an edge along which machines drive.
enter-fixes = Positions to enter
enter-fixes-hint = So many positions in a row have to be inside; one, unless set.
enter-seconds = Seconds to enter
enter-seconds-hint = So long they have to be inside, from the first to the last.
exit-fixes = Positions to leave
exit-fixes-hint = So many positions in a row have to be outside; two, unless set.
exit-seconds = Seconds to leave
exit-seconds-hint = So long they have to be outside, from the first to the last.
max-gap = Longest gap, seconds
max-gap-hint = Positions further apart tell of no passing through between them; 120, unless set.
pass-min = Shortest passing through, m
pass-min-hint = A way through the zone that is shorter is not told.
coarse-accuracy = Coarse from, m
coarse-accuracy-hint = A position of a worse accuracy counts only deep inside or far outside; 30, unless set.
accuracy-clamp = Most margin by accuracy, m
accuracy-clamp-hint = The accuracy of a position is added to the margin of leaving, up to this.
punch-tolerance = Margin of punches, m
punch-tolerance-hint = So far beyond the edge somebody who clocks in is still there.
shape = Shape
inside-now = Inside now
nobody-inside = Nobody is inside just now.
last-visits = Last visits
no-visits = No visit has ended here yet. They stand here as soon as a machine comes and goes.
lasted-seconds = { $seconds } s
lasted-minutes = { $minutes } min
lasted-hours = { $hours } h { $minutes } min
mark-dwell = stayed long
mark-overspeed = { $speed } km/h
mark-silence = went silent
mark-zone-changed = the zone was changed
mark-reassigned = another tracker
versions = Versions
versions-hint = Choose one to see it on the map. Positions are judged by the version of their time.
version-number = Version { $number }
version-first = made
restored = restored
try = Try it over the last 24 hours
trial = The last 24 hours
trial-counts = { $machines ->
    [one] { $machines } machine
   *[other] { $machines } machines
} and { $fixes ->
    [one] { $fixes } position were looked at. Nothing was stored.
   *[other] { $fixes } positions were looked at. Nothing was stored.
}
trial-told = { $alerts ->
    [0] Nothing would have alerted
    [one] { $alerts } alert
   *[other] { $alerts } alerts
}; entered { $enters } times, of these { $passes } only passed through.
trial-cut = There was more than can be looked at here: machines, positions or findings were left out.
trial-alerts = alerts
told-enter = entered
told-exit = left
told-dwell = stayed long
told-overspeed = drove too fast
told-schedule = was in the wrong place when the hours began
import = Import zones
import-file = A file with zones
import-hint = GeoJSON, KML or GPX, up to 5 MB. It is read here; nothing is made before you say so.
import-kind-hint = The kind of all zones of this file that do not say it themselves.
import-radius-hint = Points of the file become circles of this radius.
import-width-hint = Lines of the file become corridors of this width, both sides together.
import-nothing = There is nothing in this file that can be a zone.
import-found = What was found
import-make = { $count ->
    [one] Make { $count } zone
   *[other] Make { $count } zones
}
import-made = { $count ->
    [one] { $count } zone was made.
   *[other] { $count } zones were made.
}
result = Result
row-made = Made
row-without-shape = It has no shape that can be a zone.
shape-polygon = Area
shape-multipolygon = Areas
shape-point = Circle
shape-linestring = Corridor
file-too-large = The file is larger than 5 MB. Split it, or draw it with fewer points.
file-unreadable = The file cannot be read: it is damaged, or not whole.
file-of-another-kind = This is no GeoJSON, KML or GPX. A KMZ has to be unpacked first.
export = Save as { $format }

## Breaches

breaches = Breaches
no-breaches = Nothing has happened at your zones yet. What happens shows here by itself.
older = Older ones
on-the-map = On the map
accuracy = ± { $metres } m
breach-enter = entered
breach-exit = left
breach-dwell = has stayed long in
breach-overspeed = drives too fast in
mark-late = came late
mark-segment = between fixes
mark-timer = by time
mark-initial = was there already
mark-schedule = the zone's hours began

## Trackers

trackers = Trackers
trackers-hint = Add a machine: it gets a tracker of its own, and you see how its device is set up.
tracker = Tracker
asset = Machine
name-of-machine = Name of the machine
add-machine = Add the machine
no-trackers = There are no trackers yet. Add a machine.
connected = Connected
never-seen = Nothing was heard of it yet
last-seen = Heard of last on { $time }
revoked = Revoked
set-up-hint = Give the device these, and have it send by MQTT.
user-name = User name
password-once = Password, shown this once
topic = Topic
set-up-example = Or try it from here, with the host and port that your listener has:
waiting-for-fix = Waiting for the first position …
first-fix-came = The first position has come. The machine is on the map.

## Users

users = Users
users-hint = Whoever you invite gets a letter with a link, and chooses a password by it.
role = Role
role-of = Role of { $name }
role-viewer = Viewer
role-technician = Technician
role-dispatcher = Dispatcher
role-admin = Admin
state = State
user-active = Active
user-invited = Invited
user-service = For programs
user-deactivated = May not sign in
invite = Invite
invite-again = Send the letter again
invitation-is-sent = The letter is on its way.
activate = Let in again
deactivate = Switch off

## Webhooks

webhooks = Webhooks
webhooks-hint = Each event is posted to your addresses, signed, until it is accepted. A new one gets all types.
address = Address
event-type = Event
event-types = Events
make-endpoint = Add the address
secret-shown-once = This is the secret by which your program checks signatures. Copy it now: it is shown this once.
no-endpoints = No program of yours gets events yet. Add the address of one.
endpoint-active = Active
endpoint-failing = Active, but nothing is accepted just now
endpoint-disabled-user = Switched off
endpoint-disabled-failures = Switched off: nothing was accepted for days
endpoint-disabled-gone = Switched off: it answered 410 Gone
endpoint-disabled-backlog = Switched off: too much waited for it
send-test = Send a test event
test-event = test
deliveries = Deliveries
no-deliveries = Nothing was sent to this address yet. Send a test event.
delivery-pending = Waits
delivery-delivered = Accepted
delivery-failed = Given up
attempts = Attempts
attempted = When
answer = Answer
answer-text = What was answered
duration = Took
no-attempts = Nothing was attempted yet.
send-again = Send again

## API keys

api-keys = API keys
api-keys-hint = A key lets a program act as you. Give each program its own, and revoke those that nobody needs.
make-key = Make a key
key-shown-once = This is the key. Copy it now: it is shown this once.
no-keys = There are no keys yet. Give one a name that says what it is for, and make it.
key-end = Ends with
last-used = Last used
revoke = Revoke

## Problems

problem-unreachable = The server cannot be reached. Look at your network, and try again.
problem-unavailable = The server cannot answer just now. Try again in a minute.
problem-unexpected = The server gave an answer that this page does not know. Try again.
problem-internal-error = The server failed. This is a fault of ours: tell whoever runs it the number of the request.
problem-unauthorized = You are not signed in any more. Sign in again.
problem-forbidden = Your role does not allow this.
problem-not-found = There is no such thing, or it is not yours.
problem-plan-required = Your plan does not have this.
problem-quota-exceeded = Your plan has no room for more.
problem-rate-limited = Too many requests in this minute. Wait a little, and try again.
problem-too-many-requests = Too much at once. Try again in a moment.
problem-too-many-sign-ins = Too many attempts failed. Wait a few minutes, or ask for a new password.
problem-password-link-needed = Too many attempts failed. Ask for a link by mail, and set a password by it.
problem-invalid-body = Something that was given is not right:
problem-link-not-good = This link was used already, or has expired. Ask for another one.
problem-changed-meanwhile = Somebody else has changed this meanwhile. Load the page again.
problem-already-accepted = The quote is accepted already.
problem-already-subscribed = This is subscribed to already.
problem-amounts-not-confirmed = The amounts of the quote have to be confirmed by an admin first.
problem-approval-blocked = The timesheet cannot be approved as it is: look at what is flagged.
problem-asset-deleted = The asset is deleted. Restore it first.
problem-assignment-overlaps = There is another tracker or asset in that time.
problem-being-sent = It is being sent just now. Wait a moment.
problem-body-incomplete = What was sent did not arrive whole. Try again.
problem-body-too-large = This is too large. Make it smaller, or send it in parts.
problem-client-deleted = The client is deleted. Restore it first.
problem-converted = The quote has become a work order already.
problem-csrf-failed = This page is out of date. Load it again.
problem-dashboard-not-built = The pages are missing on this server. Tell whoever runs it.
problem-document-too-large = The document would be too large. Take something out of it.
problem-email-taken = Another user has this address.
problem-employee-deleted = The employee is deleted. Restore them first.
problem-employee-left = The employee has left.
problem-endpoint-not-active = The endpoint is switched off. Let it in again first.
problem-external-id-taken = Something else has this external id.
problem-fixes-stored = There are positions of that time already: it cannot be changed.
problem-gateway-revoked = The gateway is revoked.
problem-header-repeated = The request was not understood. Load the page again.
problem-header-too-long = The request was not understood. Load the page again.
problem-headers-too-large = Your browser sends too much. Delete its cookies of this site.
problem-idempotency-answer-lost = It was done, but the answer is lost. Load the page again to see it.
problem-idempotency-in-flight = It is being done just now. Wait a moment.
problem-idempotency-mismatch = The request was not understood. Load the page again.
problem-illegal-move = This cannot be done in its present state. Load the page again.
problem-in-stock = There is still some of it in stock.
problem-in-use = Something else needs it still.
problem-insufficient-lot = There is not so much of this lot.
problem-insufficient-reserved = Not so much is reserved.
problem-insufficient-stock = There is not so much in stock.
problem-insufficient-used = Not so much was used.
problem-invalid-form = The form could not be read. Load the page again.
problem-invalid-http = The request was not understood. Load the page again.
problem-invalid-idempotency-key = The request was not understood. Load the page again.
problem-invalid-json = The request was not understood. Load the page again.
problem-invalid-multipart = The file did not arrive whole. Try again.
problem-invalid-parameter = Something in the address is not right:
problem-last-admin = There has to be one admin at least.
problem-logo-refused = This picture cannot be the logo.
problem-lot-not-used = This lot was not used.
problem-media-type-refused = Files of this kind are not taken.
problem-method-not-allowed = This cannot be done here. Load the page again.
problem-not-a-form = The request was not understood. Load the page again.
problem-not-acceptable = There is no export of this kind.
problem-not-invited = The user has no open invitation.
problem-not-json = The request was not understood. Load the page again.
problem-not-multipart = The request was not understood. Load the page again.
problem-not-newest = There is a newer revision.
problem-not-queued = It waits no longer.
problem-number-taken = Something else has this number.
problem-parent-deleted = The order above it is deleted.
problem-part-deleted = The part is deleted. Restore it first.
problem-part-planned = The part is planned for a work order.
problem-payload-not-kept = The message itself was not kept.
problem-period-not-over = The period is not over yet.
problem-precondition-failed = Somebody else has changed this meanwhile. Load the page again.
problem-quote-over = The quote is over.
problem-range-not-satisfiable = The file does not have this part.
problem-release-waiting = It waits to be released already.
problem-repair-ordered = A repair is ordered already.
problem-request-timeout = It took too long to arrive. Try again.
problem-revision-on-its-way = A revision is on its way already.
problem-scope-missing = This key may not do that.
problem-serial-in-stock = This serial number is in stock already.
problem-serial-not-in-stock = This serial number is not in stock.
problem-serial-not-used = This serial number was not used.
problem-share-used = Your organization uses the database a lot just now. Try again in a moment.
problem-site-deleted = The site is deleted. Restore it first.
problem-site-of-another-client = The site belongs to another client.
problem-stock-record-exists = The part has a stock record in this warehouse already.
problem-target-too-long = The address is too long.
problem-timesheet-too-large = The timesheet has too many punches for one page. Choose a shorter period.
problem-too-many-adjustments = The timesheet has as many adjustments as it may.
problem-too-many-comments = The order has as many comments as it may.
problem-too-many-imports = An import is under way, and two wait. Try again when one is done.
problem-too-many-parts = The order has as many parts as it may.
problem-too-many-punches = There are 500 punches of this day.
problem-too-many-revisions = The quote has as many revisions as it may.
problem-too-many-subscriptions = This page watches too much at once. Load it again.
problem-too-many-transitions = The order has changed its state as often as it may.
problem-too-many-versions = The template has as many versions as it may.
problem-too-much-stock = So much cannot be in stock.
problem-too-much-used = So much cannot be used.
problem-tracker-revoked = The tracker is revoked.
problem-unit-in-use = The unit is in use: it cannot be changed.
problem-unknown-parameter = Something in the address is not known:
problem-unsupported-grant-type = The request was not understood. Load the page again.
problem-upgrade-required = The request was not understood. Load the page again.
problem-user-taken = Another employee is this user.
problem-verb-needed = This state is reached by its own button.
problem-warehouse-deleted = The warehouse is deleted. Restore it first.
problem-wrong-password = The password is wrong.
