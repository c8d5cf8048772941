# Texts of the web application. Names of problems are `problem-` and the code of the API.

## Everywhere

loading = Loading …
navigation = Main navigation
menu = Menu
group-fleet = Fleet
group-administration = Administration
skip-to-content = Skip to the content
times-of = Times: { $zone }
time-zone = Time zone
clock = Clock
clock-usual = As usual here
clock-24 = 24 hours
clock-12 = 12 hours
units = Units
units-metric = km/h, metres
units-imperial = mph, feet
language = Language
not-chosen = Not chosen
choice-not-saved = Your choice could not be saved: it holds on this page alone. Choose it once more.
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
not-found-hint = Check the address, or go on from the navigation.

search = Search
search-hint = Machines, zones, trackers, people, pages
found = What was found
nothing-found = Nothing begins with that.
page = Page
kind-of-asset = Machine
kind-of-zone = Zone
kind-of-tracker = Tracker
kind-of-gateway = Gateway
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
session-ends = You will be signed out at { $time }. Sign out and in again before, where that is a bad moment.

## Live map

map = Map
assets = Assets
assets-and-people = Assets and people
find-asset = Find an asset by its name
find-asset-or-person = Find an asset or a person
people = People
person-moving = Moving
last-seen-ago = Last seen { $ago }
close = Close
by-state = By state
state-moving = Moving
state-standing = Standing
state-silent = Silent
state-unknown = No position
no-assets = There are no assets yet. Make one and put a tracker on it: its position shows here by itself.
first-steps = First steps
step-machine = Add a machine
step-device = Set up its device as you are shown
step-position = Its first position comes by itself
step-zone = Draw a zone on its way
step-alert = Have it drive in: the first alert
step-done = (done)
hide = Hide
none-found = No asset fits. Take a filter away.
map-tiles-failed = The street map cannot be reached: you see land and borders.
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
live-lost-employees-not-shown = Your organization does not show people on the map any more. All else goes on by itself.
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
zones-then = Zones are shown as they were at this moment. These are not like that today:
zone-then-deleted = is deleted
zone-then-changed = has changed: { $what }
zones-then-more = and { $count } more
only-newest-fixes = These are the newest { $count } positions: choose a shorter time.
greatest-speed = Speeds, at most
instant = Moment
play = Play
pause = Pause
pace = Pace
take-away = Take away
beside-it = Beside it
nobody-beside = No other machine
day = Trips and stops
day-sum = { $count ->
    [one] 1 trip, { $distance }
   *[other] { $count } trips, { $distance }
}
day-open = goes on
trip = Trip
trip-from = Trip from { $from }
trip-to = Trip to { $to }
trip-from-to = { $from } to { $to }
trip-top = up to { $speed }
trip-carried = carried, engine off
trip-gap = with a gap
stop = Stop
stop-in = Stop: { $zone }
stop-idle = engine on for { $time }
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
what-alerts = Alerts
what-alerts-hint = Which of a machine's doings send a breach.
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
past = Who was here
past-hint = By the stored positions and the zone as it is now, also of before it was drawn.
past-days = Time
past-none = choose a time
past-last = { $days ->
    [one] the last 24 hours
   *[other] the last { $days } days
}
past-nobody = Nobody was here.
past-cut = There was more than can be shown: choose a shorter time, or have all of it prepared as a file.
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
file-has-too-many = The file has more than 5,000 shapes: split it.
file-unreadable = The file cannot be read: it is damaged, or not whole.
file-of-another-kind = This is no GeoJSON, KML or GPX. A KMZ has to be unpacked first.
export = Save as { $format }
fetch-file = Fetch the file
export-later = Prepare as { $format }
export-later-hint = For large ones: you can leave the page meanwhile. The file is kept for a week, and listed among the imports.

## Breaches

breaches = Breaches
no-breaches = Nothing has happened at your zones yet. What happens shows here by itself.
older = Older ones
on-the-map = On the map
accuracy = ± { $length }
breach-enter = entered
breach-exit = left
breach-dwell = has stayed long in
breach-overspeed = drives too fast in
mark-late = came late
mark-segment = between fixes
mark-timer = by time
mark-initial = was there already
mark-schedule = the zone's hours began

## Alerts

alerts = Alerts
alerts-hint = What somebody has to look at: one for each stay that alerts. Whoever takes one on is seen by all.
alerts-open = Open
alerts-mine = Mine
alerts-resolved = Resolved
alert-sound = A sound where something alerts, as long as a page is open
no-alerts-open = Nothing is open. What happens at your zones shows here by itself.
no-alerts-mine = Nothing is yours. Take an open one on.
no-alerts-resolved = Nothing was resolved yet.
breach-schedule-started = is in the wrong place by the hours of
mark-retracted = never was: a late position shows it
alert-new = New
alert-acknowledged = Acknowledged
alert-assigned = With { $name }
alert-resolved = Resolved
acknowledge = Acknowledge
take = Take it on
resolve = Resolve
open-again = Open again
details = Details
still-there = still there
at-that-moment = At that moment
log = What was done
log-new = opened
log-acknowledged = acknowledged
log-assigned = assigned
log-resolved = resolved
by-itself = by itself
assigned-to = Assigned to
nobody = Nobody
remark = Remark
write = Write
sent-nowhere = No endpoint wants this event.

## Trackers

trackers = Trackers
trackers-hint = Add a machine: it gets a tracker of its own, and you see how its device is set up.
tracker = Tracker
asset = Machine
name-of-machine = Name of the machine
imei = IMEI of a box
imei-wrong-check-digit = The last digit does not check the others. Compare it with the box: some makers number so.
imei-hint = Only where the device is a box without a secret, which sends by TCP or UDP: 15 digits, or the 10 of a device that speaks H02.
external-id = Id at the gateway (external_id)
external-id-hint = Only where a gateway forwards for the device: the IMEI or the DevEUI, as the gateway writes it.
add-machine = Add the machine
no-trackers = There are no trackers yet. Add a machine.
connected = Connected
never-seen = Nothing was heard of it yet
last-seen = Heard of last on { $time }
revoked = Revoked
set-up-by-gateway = If a gateway forwards for this device, it needs nothing of this.
set-up-hint = Give the device these, and have it send by MQTT.
user-name = User name
password-once = Password, shown this once
topic = Topic
address-by-http = Or the address for Traccar Client and OsmAnd
set-up-code = QR code that sets up the app { $app }
set-up-code-hint = A phone as a tracker: install the app { $app } and scan this. It is set up then.
set-up-this-phone = Set up { $app } on this phone
encryption = Encryption
encryption-of = Encryption of “{ $name }”
encryption-key = Key of OwnTracks
encryption-key-hint = The encryption key that is set in the app, 1 to 32 bytes. It is not shown again.
has-encryption-key = There is a key: what the app encrypts is read.
no-encryption-key = There is no key: what an app encrypts is kept in quarantine.
remove-encryption-key = Remove the key
set-up-again = Set up again
sure-set-up = Give “{ $name }” a new password? Its device is disconnected until it has it.
set-up-example = Or try it from here, with the host and port that your listener has:
waiting-for-fix = Waiting for the first position …
first-fix-came = The first position has come. The machine is on the map.
commands = Commands
commands-of = Commands to “{ $name }”
command = Command
command-hint = As the device understands it: “getinfo” for Teltonika, “STATUS#” for GT06, “reportLocation” for OwnTracks. It waits up to 24 hours until the device is connected. Send no secrets: who knows an IMEI can read them.
command-repeatable = Send again if no answer comes
command-repeatable-hint = Only what does no harm twice.
send-command = Send the command
no-commands = No command was sent to this tracker yet.
command-queued = Waits for the device
command-sent = Sent
command-answered = Answered
command-unanswered = Not answered
command-expired = Expired
command-cancelled = Cancelled
command-until = until { $time }
command-sends = sent { $count } times

## Gateways

gateways = Gateways
no-gateways = There are no gateways yet. A gateway is a server that forwards the positions of many devices: register each device as a tracker, with the id that the gateway knows it by as its external_id.
add-gateway = Add the gateway
gateway-active = Active
gateway-shown-once = The address for “{ $name }”, with its key. Copy it now: it is shown this once.
gateway-set-up-traccar = Write this into traccar.xml, and restart Traccar:
gateway-set-up-chirpstack = In ChirpStack, add the integration HTTP to the application:
gateway-set-up-tts = In The Things Stack, add a custom webhook to the application. The paths of the event types stay empty:
gateway-set-up-generic = Send each position as a message of JSON to the address; the mapping says how it is read:
gateway-code = QR code of the address
gateway-code-hint = The address as a code, for a program on a phone or a tablet. It holds the key.
gateway-last-seen = Last message
gateway-by-mqtt = Or by MQTT, to the listener:
mqtt-server = Server
mapping = Where the values of a message stand (mapping)
mapping-hint = JSON: a path for each value, such as /gps/lat, and units. The page on gateways in the documentation has all of them.
mapping-not-json = The mapping is no JSON.
auto-register = Register devices as they come
auto-register-hint = A pattern of their ids, with * and ?; empty: none. At most 100 an hour.
change-gateway = Change “{ $name }”
gateway-address = the address above
gateway-devices = Then add each device as a machine, with its { $id } as external_id, written as the gateway writes it:
gateway-devices-that-send = Or switch the devices on, and register those that show up:
new-key = New key
sure-new-key = Give “{ $name }” a new key? It can send nothing until it has the new address.

## Unknown devices

unknown-devices = Unknown devices
unknown-devices-hint = Devices that would send and are not let in. Switch a device on: it shows up here within seconds.
no-unknown-devices = There are no unknown devices. What a gateway forwards for a device that nobody has registered shows up here, and trackers that sign in with a wrong password.
no-unknown-device-fits = No unknown device has this reason.
unknown-not-registered = Not registered
unknown-not-registered-hint = No tracker has this id.
unknown-wrong-secret = Wrong password
unknown-wrong-secret-hint = Give the device its password, or set it up again:
unknown-revoked = Revoked
unknown-revoked-hint = The tracker was revoked, which is for good.
device = Device
came-by = Came by
device-last-seen = Last seen
first-seen = first on { $time }
last-position = Last position
register = Register
register-device = Register { $name }
register-hint = A new machine gets this device as its tracker.
device-registered = “{ $name }” is registered. It is on the map with its next position.
forget = Forget
sure-forget = Forget “{ $name }”? It comes back if it is seen again.

## Imports

imports = Imports
imports-hint = Machines and trackers from a spreadsheet, and recorded tracks of machines. Erasures of positions and exports are listed, too. Here are the newest 100 of the last week.
no-imports = Nothing was imported in the last week.
new-import = Import a file
job-kind = What
job-import-assets = Machines from CSV
job-import-assets-hint = The first line names the fields: external_id,name,asset_class,tags. Each line is a machine with its own external_id. Up to 2 MiB.
job-import-trackers = Trackers from CSV
job-import-trackers-hint = The first line names the fields: external_id,name,imei. Each line is a tracker with its own external_id. Up to 2 MiB.
job-upload-track = Track of a machine
job-upload-track-hint = GPX, KML, CSV, GeoJSON or NMEA, with times. Up to 20 MB.
job-erase-positions = Positions of an employee
job-export = Export
job-file = File
track-webhooks = Send its events to webhooks, too
track-webhooks-hint = Otherwise no webhook hears of what happened then. Alerts are made either way.
check-file = Check only
do-import = Import
upload = Upload
track-of-another-kind = The name of the file has to end with .gpx, .kml, .csv, .geojson, .nmea or .txt.
check-found = { $good } { $good ->
    [one] line is
   *[other] lines are
} good, { $known } known already, { $faulty } faulty. Nothing was written.
job-made = It is on its way: see below how far it is.
job-waiting = Waits
job-running = Is worked through
job-done = Done
job-failed = Failed
job-cancelled = Cancelled
job-reads = reads the file
job-progress = { $done } of { $total }
job-erases = { $done } erased
job-writes = { $done } rows so far
lines-written = { $count } made
points-written = { $count ->
    [one] { $count } point
   *[other] { $count } points
}
positions-erased = { $count } erased
rows-written = { $count } rows
job-known = { $count } known already
job-conflicts = { $count } with another position at their time
job-faults = What was left out
job-more-faults = There are more, which are not listed.
fault-line = Line { $line }
sure-cancel-job = Cancel it? What is written already stays.
sure-cancel-erasure = Cancel it? What is erased already is gone.

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
service-user = For a program
service-user-hint = Gets no letter and no password; its API keys act as this user.
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
api-keys-hint = A key lets a program act as a user. Give each program its own, and revoke those that nobody needs.
make-key = Make a key
key-shown-once = This is the key. Copy it now: it is shown this once.
no-keys = There are no keys yet. Give one a name that says what it is for, and make it.
last-used = Last used
revoke = Revoke

## Organization

organization = Organization
on-this-page = On this page
only-admins-change = Admins change these settings. You see what is set.
saved = Saved.

name-and-address = Name and address
set-name-hint = Documents and letters show it.
set-timezone = Time zone
set-timezone-hint = Where you are at home, such as Europe/Zurich. Days and hours are counted by it.
set-language-hint = Of documents and letters, and of pages for everybody who has chosen no other. Not chosen: documents and letters are in English, pages in the language of the browser.
set-address = Address
set-address-hint = As documents show it, up to 8 lines.
set-email = Email of the office
set-email-hint = Replies of customers and accepted quotes go there. Empty: accepted quotes go to the admins.

logo = Logo
logo-hint = Quotes, work orders, inspections and timesheets show it: a PNG, JPEG or WebP of up to 1 MB.
no-logo = There is no logo.
choose-logo = Choose a picture
change-logo = Choose another picture

plan-and-usage = Plan and usage
plan = Plan
plan-starter = Starter
plan-team = Team
plan-unlimited = Unlimited
programs = Programs
programs-may = may use the API
programs-may-not = may not use the API: the plan does not have it
requests-per-minute = Requests a minute
no-limit = no limit
left-of-minute = { $count } left in this minute
requests-of-programs = Requests of programs, last 24 hours
requests-and-refused = { $requests } let in, { $refused } refused because of the limit
quotas = Quotas
quotas-hint = How much there is of everything, what is nearest to its limit first. Deleted things count too, since they are kept. What is beyond a limit is refused.
quota = Of
used = Used
used-of-limit = { $used } of { $limit }
quota-api-keys = API keys
quota-assets = Machines
quota-attachment-bytes = Size of attachments
quota-attachments = Attachments
quota-clients = Clients
quota-employees = Employees
quota-gateways = Gateways
quota-inspection-forms-a-day = Inspections in 24 hours
quota-inspection-templates = Inspection templates
quota-inventory = Stock records
quota-letters-a-day = Letters a day
quota-parts = Parts
quota-quotes = Quotes
quota-sites = Sites
quota-stock-movements-a-day = Movements of one part a day
quota-trackers = Trackers
quota-users = Users
quota-warehouses = Warehouses
quota-webhook-endpoints = Webhook addresses
quota-work-orders = Work orders
quota-zones = Zones

fixes-and-zones = Positions and zones
fixes-and-zones-hint = Where a field is empty, the default that it shows in grey holds. A change holds for positions that arrive after it.
set-max-accuracy-m = Worst accuracy
set-max-accuracy-m-hint = A position of a worse stated accuracy is stored, but changes no visit and no breach.
max-speeds = Greatest speeds
max-speeds-hint = A position that could only be reached faster is marked as suspect and changes nothing.
set-max-speed-mps-vehicle = Vehicles
set-max-speed-mps-aircraft = Aircraft
set-max-speed-mps-vessel = Vessels
set-max-speed-mps-person = Persons
set-max-speed-mps-other = Others
zone-rules = Entering and leaving zones
zone-rules-hint = These hold in every zone that has no rule of its own.
set-exit-buffer-m = Buffer outside
set-exit-buffer-m-hint = A zone is left only when a machine is so far outside.
set-accuracy-clamp-m = Accuracy at most
set-accuracy-clamp-m-hint = The accuracy of a position adds to the buffer, up to this.
set-coarse-accuracy-m = Coarse from
set-coarse-accuracy-m-hint = A position of a worse accuracy must lie deep inside or far outside to count.
set-enter-confirm-fixes = Positions to enter
set-enter-confirm-fixes-hint = So many positions in a row make an entry.
set-exit-confirm-fixes = Positions to leave
set-exit-confirm-fixes-hint = So many positions in a row make an exit.
set-enter-confirm-seconds = Time to enter
set-enter-confirm-seconds-hint = The least time from the first of these positions to the last.
set-exit-confirm-seconds = Time to leave
set-exit-confirm-seconds-hint = The least time from the first of these positions to the last.
set-max-gap-seconds = Longest gap
set-max-gap-seconds-hint = Passing through a zone between two positions is only told where they are no further apart; 0 tells of none.
set-pass-min-m = Shortest passage
set-pass-min-m-hint = The least way inside a zone that counts as passing through.

events-of-trips = Events of trips
events-of-trips-hint = Trips and stops are on the map and in reports either way. Here you choose whether they are also told as they become known.
set-trip-events = Tell when machines set out, arrive and stop
set-trip-events-hint = Trips and stops become events: programs hear of them by webhook and API. Nothing of the past is told. The phones of employees are left out.
employees-on-map = People on the map
employees-on-map-hint = Where the phone of an employee is set up as their tracker, the phone sends its position, and these positions are stored. Here you choose whether anybody sees them.
set-shows-employees = Dispatchers and admins see where employees are
set-shows-employees-hint = They see it on the map at any time, also outside of working hours, for as long as the phone sends. Tell your employees before: the audit keeps who turned it on, and when. Off: nobody sees it, and the newest positions are removed.
punches = Punches
punches-hint = How the place of a punch is judged. A change holds for punches that are received after it.
set-punch-policy = Punches that are not verified
set-punch-policy-hint = Whether somebody has to look at them before hours are approved.
policy-flag = Show them for review
policy-allow = Take them as they are
policy-block = No approval before their review
set-punch-tolerance-m = Beyond the edge
set-punch-tolerance-m-hint = So far beyond the edge of a site a punch is still at the site.
set-punch-rules-max-fix-age-s = Oldest position
set-punch-rules-max-fix-age-s-hint = An older position does not prove where somebody is.
set-punch-rules-max-clock-error-s = Error of a clock
set-punch-rules-max-clock-error-s-hint = So far the claimed time may be from the receipt, or from the position.
set-punch-rules-max-speed-mps = Greatest speed
set-punch-rules-max-speed-mps-hint = Faster than this between two places is a leap, which fails a punch.
set-punch-rules-max-flight-mps = Speed of a flight
set-punch-rules-max-flight-mps-hint = A leap below this may have been a flight, if it took long enough.
set-punch-rules-min-flight-s = Shortest flight
set-punch-rules-min-flight-s-hint = The least time of such a flight.

hours-and-pay = Hours and pay
hours-and-pay-hint = How timesheets are cut and counted. A timesheet that is approved stays as it is.
set-period = Period
set-period-hint = The days that are approved together.
period-week = A week
period-two-weeks = Two weeks
period-month = A month
set-first-weekday = First day of the week
set-first-weekday-hint = Weekly overtime is counted from it.
set-anchor = First day of any period
set-anchor-hint = Periods of two weeks are counted from this day, in both directions.
set-timesheet-rules-longest-shift-s = Longest shift
set-timesheet-rules-longest-shift-s-hint = A shift that nobody ends is ended after this time.
set-cuts-at-midnight = Divide shifts at midnight
set-cuts-at-midnight-hint = Otherwise the whole shift counts to the day on which it began.
set-closes-at-midnight = End shifts at midnight
set-closes-at-midnight-hint = A shift that is still open ends at midnight.
overtime = Overtime
set-overtime = Thresholds
set-overtime-hint = From when on hours count as overtime.
overtime-none = No overtime
overtime-us-flsa = USA, FLSA: 40 h a week
overtime-us-california = California: 8 h a day, 40 h a week
overtime-ch-45 = Switzerland: 45 h a week
overtime-eu-48 = European Union: 48 h a week
overtime-own = Thresholds of your own
set-timesheet-rules-overtime-daily-s = Hours a day
set-timesheet-rules-overtime-daily-s-hint = Work of a day beyond this is overtime.
set-timesheet-rules-overtime-double-daily-s = Double from
set-timesheet-rules-overtime-double-daily-s-hint = Work of a day beyond this counts as double time.
set-timesheet-rules-overtime-weekly-s = Hours a week
set-timesheet-rules-overtime-weekly-s-hint = Regular hours of a week beyond this are overtime.
set-seventh-day = The seventh day counts
set-seventh-day-hint = Who worked on all seven days of a week has overtime on the last one.
rounding = Rounding
set-step = Round to
set-step-hint = Times go to the marks of the clock that lie so far apart.
not-rounded = Not rounded
minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
set-timesheet-rules-rounding-grace-s = Grace
set-timesheet-rules-rounding-grace-s-hint = A time that lies so far behind a mark goes back to it. Empty: half a step.
set-each = What is rounded
set-each-hint = Each beginning and end, or the work of each day.
each-punch = Beginnings and ends
each-day = The work of a day
breaks = Breaks
set-timesheet-rules-shortest-break-s = Shortest break
set-timesheet-rules-shortest-break-s-hint = A shorter break counts as work.
automatic-breaks-hint = Where so many hours were worked without a break of that length, it is taken off.
automatic-break = Automatic break { $number }
after-hours = After work of, h
break-minutes = Break, min
add-break = Add an automatic break

retention = Retention
retention-hint = After these days data is removed for good, so the operator of the server sets them.
retention-positions = Positions
retention-events = Events
retention-audit = Changes (audit)
retention-of-installation = as long as the server keeps them
retention-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}

## Quarantine and audit

filters = Filters
all = All
show-all = Show all

quarantine = Quarantine
quarantine-hint = Messages that arrived and could not be stored. When the cause is removed, release them: they are judged again as if they arrived now.
no-messages = Nothing is in quarantine: everything that arrived was stored.
no-message-fits = No message fits. Take a filter away.
reason = Reason
last-received = Received last
seen = How often
message = Message
release = Release
release-all = Release all that fit
release-chosen = { $count ->
    [one] Release the message that is chosen
   *[other] Release the { $count } that are chosen
}
sure-release = Release all messages that fit these filters, also those of further pages, up to 10,000?
release-stop = Stop
releasing = { $count } released so far …
released-count = { $count ->
    [0] None was released.
    [one] { $count } message was released.
   *[other] { $count } messages were released.
}
release-refused = { $count ->
    [one] { $count } was left as it is: { $why }
   *[other] { $count } were left as they are: { $why }
}
sure-drop = Remove this message for good?
message-kept = Kept
message-came-back = Released, and rejected again
message-released = Released, and waits to be judged
message-not-kept = Too large to be kept
message-counted = Only counted: there were too many that day
places-in-message = Places in the message
size = Size
bytes = { $count ->
    [one] { $count } byte
   *[other] { $count } bytes
}
reason-undecodable = Not readable
reason-undecodable-hint = The message is not in the format, or a field has the wrong type. Correct the device; a release is rejected again.
reason-no-position = No position
reason-no-position-hint = Latitude or longitude is missing. Look at the reception of the device if it happens often; a release is rejected again.
reason-bad-coordinate = Impossible position
reason-bad-coordinate-hint = The position is out of range, or exactly 0, 0. Correct the device if it happens often.
reason-future = From the future
reason-future-hint = The time is more than 5 minutes ahead. Set the clock of the device, or wait and release.
reason-ancient = Too old
reason-ancient-hint = The position is from before 2000, or older than positions are kept. The operator can set a longer retention.
reason-unknown-tracker = Unknown tracker
reason-unknown-tracker-hint = No tracker has this id. Correct the user name of the device.
reason-revoked-tracker = Revoked tracker
reason-revoked-tracker-hint = The tracker was revoked, which is for good. Give the device a new tracker.
reason-rate = Too many
reason-rate-hint = The tracker sent more than it may. Release the messages: they are stored then.
reason-oversize = Too large
reason-oversize-hint = The message, its attributes or a note is over the limit. Have the device send smaller messages.
reason-refused-by-database = Refused by the database
reason-refused-by-database-hint = This may be a fault of the installation. Ask the operator, then release.
reason-wrong-topic = Wrong topic
reason-wrong-topic-hint = The device signs in as one tracker and sends as another, or on a topic that is not read. Correct the device; a release is rejected again.
reason-conflict = Contradiction
reason-conflict-hint = Another position of the same time came first: a fault of the device, or two devices share a password. A release is rejected again.
reason-unknown-employee = Unknown employee
reason-unknown-employee-hint = The device names an employee whom the organization does not have. Correct the device; a release is rejected again.

audit = Audit
audit-hint = Who changed what and when, newest first. Nobody can change this list.
no-changes = No change fits. Take a filter away.
kind-of-thing = Kind
person = Person
only-of-thing = Only changes of
the-system = The system or its operator
by-key = by the key “{ $name }”
did-insert = made:
did-update = changed:
did-delete = removed:
changed-fields = { $count ->
    [one] { $count } field
   *[other] { $count } fields
}
changes = Changes
field = Field
before = Before
after = After
secret-changed = changed; it is a secret
thing-command = Command
thing-job = Job
thing-organization = Organization
thing-user = User
thing-api-key = API key
thing-sign-in = Sign-in
thing-client = Client
thing-site = Site
thing-employee = Employee
thing-asset = Machine
thing-tracker = Tracker
thing-gateway = Gateway
thing-zone = Zone
thing-attachment = Attachment
thing-punch = Punch
thing-timesheet = Timesheet
thing-part = Part
thing-warehouse = Warehouse
thing-inventory = Stock record
thing-quote = Quote
thing-work-order = Work order
thing-inspection-template = Inspection template
thing-inspection-form = Inspection
thing-webhook-endpoint = Webhook address

## Keys and their rotation

key-name-hint = What it is for, such as “Nightly export”.
owner = Acts as
owner-hint = The key may what this user may, and ends with them.
yourself = Yourself
made-by = made by { $name }
rights = Rights
rights-hint = Give a program no more than it needs.
rights-all = All that the user may
rights-read = Read only
rights-chosen = Only these
scope-read = read
scope-write = write
expires = Expires
expires-hint = At the end of this day. Empty: never.
expired = Expired
rotate = Rotate
rotate-key-hint = The key gets a new secret, which is shown once. Programs go on with the old one until it ends.
old-secret-ends = The old secret ends
old-secret-until = old secret until { $time }
overlap-0 = at once
overlap-3600 = after an hour
overlap-86400 = after a day
overlap-604800 = after a week
overlap-2592000 = after 30 days

## Administration of webhooks

catalogue = What events there are
catalogue-hint = Open a type to see an event of it, as your program gets it.
event-asset-geofence-breach = A machine enters or leaves a zone that alerts, or is in the wrong place when its hours begin.
event-asset-geofence-dwell = A machine has stayed in a zone for as long as the zone says.
event-asset-overspeed = A machine in a zone is faster than the zone allows: the first time of a stay.
event-asset-visit-amended = What was told of a visit is not so: a late position shows it.
event-asset-stopped = A machine has stayed at a place for five minutes.
event-trip-started = A machine is under way.
event-trip-ended = A trip has ended: its stop shows it, or no position has come for an hour.
event-trip-amended = What was told of a trip is not so: a late position shows it, or the machine went on.
event-employee-punched-in = An employee begins work: the punch, its verdict and the evidence.
event-employee-punched-out = An employee ends work: the punch, its verdict and the evidence.
event-punch-amended = The verdict on a punch is another one: a late position or a corrected job site shows it.
event-timesheet-approved = Somebody approved a timesheet: the hours to be paid.
event-stock-low = A movement left a part at its reorder point, or below it.
event-quote-created = Somebody made a quote, or a revision of one: a draft.
event-quote-sent = The mail server has taken the letter with a quote.
event-quote-accepted = A customer accepted a quote, or a dispatcher noted that they did.
event-quote-declined = A customer declined a quote, or a dispatcher noted that they did.
event-quote-expired = The last day of a quote is over, or a dispatcher ended it.
event-work-order-created = A work order is made, or a draft is issued.
event-work-order-assigned = A work order is given to employees.
event-work-order-started = An employee begins to work on a work order.
event-work-order-completed = A work order is done, and somebody has signed for it.
event-work-order-updated = A work order is changed, or comes to another status.
event-work-order-cancelled = A work order will not be done.
event-inspection-submitted = An inspection is submitted, with its result and the failed questions.
event-webhook-endpoint-disabled = The system has switched off a webhook address: it failed for days, or is gone.
endpoint-disabled-hint = New events do not come here. Let it in again, and what waits is sent; what has failed is sent by the recovery below.
statistics = Statistics
span = Span
last-days = { $count ->
    [one] The last 24 hours
   *[other] The last { $count } days
}
accepted-and-failed = { $accepted } accepted, { $failed } failed
success-rate = Accepted
half-answered = Half of the answers within
nearly-all-answered = 99 of 100 answers within
waiting-deliveries = Wait now
due-since = the first is due since { $time }
recovery = Recovery
recovery-hint = Sends again what was given up since a time, for example after your program was down.
recovery-needs-active = What was given up can be sent again once the address is let in again.
failed-since = Given up since
count-failed = Count
failed-found = { $count ->
    [0] Nothing was given up since then.
    [one] { $count } delivery was given up since then.
   *[other] { $count } deliveries were given up since then.
}
send-failed-again = Send all of them again
recovered = { $count ->
    [one] { $count } delivery is on its way again.
   *[other] { $count } deliveries are on their way again.
}
what-it-gets = What it gets
address-hint = An https address that is reachable from the internet.
description = Note
description-hint = What is at this address, for you and your colleagues.
headers = Headers
headers-hint = Sent with each event, one a line, such as x-api-key: secret. The values are never shown again.
headers-stay = Set: { $names }. What is given here takes their place; empty: they stay.
headers-wanted = Give one header a line, as name: value.
without-headers = Remove all headers
without-headers-hint = Events are sent without them.
ordered = One event after the other
ordered-hint = The next event waits until this one is accepted, or was given up.
thin = Ids only
thin-hint = The program gets the ids of what happened and reads the rest by the API.
all-types = All events
all-types-hint = Also those that later versions add.
group-hint = All of this group.
endpoint-filters = Machines and zones
endpoint-filters-hint = Where machines are chosen, only events that name one of them go to this address; likewise with zones. Where both are chosen, an event has to name one of each.
machines-chosen = { $count ->
    [one] Only { $count } machine
   *[other] Only { $count } machines
}
zones-chosen = { $count ->
    [one] Only { $count } zone
   *[other] Only { $count } zones
}
find-zone = Find a zone by its name
endpoint-other-filters = The API has set filters by client or by tag, too. They stay as they are.
secret = Secret
rotate-endpoint-hint = What is sent is signed by a new secret, which is shown once. Until the old one ends, both sign.
verification = Check signatures
verification-hint = Programs that check that what arrives is ours and new: copy one to begin with.
programming-language = Programming language

## Problems

problem-archive-unavailable = The positions of these days are in the archive, which cannot be read just now. Try again later.
problem-content-type-refused = This kind of file is not taken here.
problem-invalid-csv = The file is no CSV that can be read.
problem-too-many-commands = Too many commands are waiting. Wait until some are sent, or cancel some.
problem-no-commands = The device is connected in a way that has no commands. Boxes of Teltonika and GT06 have them, and OwnTracks where it is set up for them.
problem-command-not-queued = The command was sent or is over: it cannot be cancelled any more.
problem-too-many-jobs = Too many jobs are waiting. Wait for one to end, or cancel one.
problem-no-archive = This server keeps no files: it has no archive. Whoever runs it can set it up.
problem-no-file = The file is not ready, or is gone.
problem-exports-full = Your organization keeps as many exports as it may. Older ones go after a week.
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
problem-alert-changed = Somebody else has done something with it meanwhile: look at it again.
problem-already-accepted = The quote is accepted already.
problem-already-registered = The device is a tracker already.
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
problem-employees-not-shown = Your organization does not show where its employees are. An admin can turn it on.
problem-employee-left = The employee has left.
problem-endpoint-not-active = The endpoint is switched off. Let it in again first.
problem-external-id-taken = Something else has this external id.
problem-fixes-stored = There are positions of that time already: it cannot be changed.
problem-gateway-revoked = The gateway is revoked.
problem-header-repeated = The request was not understood. Load the page again.
problem-header-too-long = The request was not understood. Load the page again.
problem-headers-too-large = Your browser sends too much. Delete its cookies of this site.
problem-imei-claimed = Another tracker has this IMEI. Ask whoever runs the server if the device is yours.
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
problem-invalid-host = The request was not understood. Load the page again.
problem-invalid-http = The request was not understood. Load the page again.
problem-invalid-idempotency-key = The request was not understood. Load the page again.
problem-invalid-json = The request was not understood. Load the page again.
problem-invalid-multipart = The file did not arrive whole. Try again.
problem-invalid-parameter = Something in the address is not right:
problem-invalid-position = The request was not understood. Load the page again.
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

## What is wrong with a field, by the code of the API

fault-required = This is needed.
fault-minimum = At least { $limit }.
fault-maximum = At most { $limit }.
fault-exclusive-minimum = More than { $limit }.
fault-min-length = At least { $limit ->
    [one] one character.
   *[other] { $limit } characters.
  }
fault-max-length = At most { $limit } characters.
fault-min-items = At least { $limit ->
    [one] one is needed.
   *[other] { $limit } are needed.
  }
fault-max-items = At most { $limit } are possible.
fault-email = An email address looks like anna@example.com.
fault-timezone = A time zone has a name like Europe/Zurich.
fault-password-common = This is one of the most common passwords.
fault-password-repeats = At least { $limit } different characters.
fault-password-own = A password must not be made of your address or your name.

# Reports

reports = Reports
report = Report
report-day = Days
report-trips = Trips
report-stops = Stops
report-visits = Visits
report-distance = Distance
report-utilization = Use of time
report-presence = Hours on site
report-hint-day = What each machine did, day by day.
report-hint-trips = All trips of these days.
report-hint-stops = All stops of these days.
report-hint-visits = Who was in which zone, and for how long within these days.
report-hint-distance = How far machines went.
report-hint-utilization = For how long machines drove, idled and were parked.
report-hint-presence = For how long machines were on site, by zone and client.
report-to = To, with this day
report-by = By
report-of = Of
report-of-assets = Machines
report-of-employees = People, by their trackers
report-zone = In the zone
report-empty = There is nothing to report of these days.
report-first = These are the first { $count } of { $all } rows: a file has all of them.
report-group-thing = Machine or person
report-group-asset = Machine
report-group-client = Client
report-group-zone = Zone
report-group-tag = Tag
report-group-day = Day
report-group-week = Week
report-column-name = Name
report-column-asset-name = Machine
report-column-zone-name = Zone
report-column-client-name = Client
report-column-client-names = Clients
report-column-tag = Tag
report-column-day = Day
report-column-week = Week of
report-column-departed-at = Departure
report-column-arrived-at = Arrival
report-column-started-at = Begin
report-column-ended-at = End
report-column-entered-at = Entered
report-column-left-at = Left
report-column-duration-s = Duration
report-column-within-s = Duration
report-column-presence-s = Time
report-column-driving-s = Driving
report-column-stopped-s = Standing
report-column-idle-s = Idling
report-column-parked-s = Parked
report-column-unknown-s = Unknown
report-column-driving-share = Share driven
report-column-distance-m = Distance
report-column-top-speed-mps = Top speed
report-column-trips = Trips
report-column-stops = Stops
report-column-visits = Visits
report-column-assets = Machines
report-column-start-zones = From
report-column-end-zones = To
report-column-zones = Zones
report-chosen = { $count ->
    [one] the chosen one
   *[other] the { $count } chosen ones
}
report-clients = { $count ->
    [one] 1 client
   *[other] { $count } clients
}
report-people = { $count ->
    [one] 1 person
   *[other] { $count } people
}
report-tags = tagged { $tags }
report-only = Only { $what }.
report-of-all = Show all
report-days-of = Days of { $zone }.
report-mail = Mail this report on a schedule
report-tag = With any of these tags
report-tag-hint = With commas; all machines without it.
report-schedules = Report schedules
report-schedules-hint = Each recipient gets a letter with a link when a day, a week or a month is over. Who opens the link signs in, and sees what they may see then.
schedule-new = New schedule
schedule-change = Change { $name }
schedule-add = Add schedule
no-schedules = No report is mailed yet.
cadence = When
cadence-daily = Daily
cadence-weekly = Weekly
cadence-monthly = Monthly
cadence-daily-hint = About the day before.
cadence-weekly-hint = About the week before, from Monday to Sunday.
cadence-monthly-hint = About the month before.
schedule-weekday = Day of the week
schedule-month-day = Day of the month
schedule-month-day-hint = Where a month has fewer days, its last one.
schedule-time = Time of day
schedule-zone-hint = Such as Europe/Zurich; the organization's unless you name one.
schedule-recipients = Recipients
schedule-search = Search people
schedule-nobody = Choose at least one recipient.
schedule-to-me = Mail it to me
schedule-others = { $count ->
    [one] Another person gets it, too: only an admin changes that.
   *[other] { $count } others get it, too: only an admin changes that.
}
schedule-people = { $count ->
    [one] 1 person
   *[other] { $count } people
}
schedule-you-and = { $count ->
    [one] you
   *[other] { $count } people, you too
}
schedule-when-daily = Daily at { $time } ({ $zone })
schedule-when-weekly = { $day } at { $time } ({ $zone })
schedule-when-monthly = Day { $day } of the month at { $time } ({ $zone })
schedule-next = Next one
schedule-last = Mailed last
schedule-off = Switched off
schedule-never = Never
schedule-left-out = { $count ->
    [one] 1 recipient got none: not active, or without the right to read it.
   *[other] { $count } recipients got none: not active, or without the right to read it.
}
schedule-error = The last letter could not be sent: { $error }
schedule-send = Send me one now
schedule-sent = A letter with the newest “{ $name }” is on its way to you.
schedule-switch-off = Switch off
schedule-switch-on = Switch on
sure-delete-schedule = Delete “{ $name }”? Nobody gets it any more.
thing-report-schedule = Report schedule
quota-report-schedules = Report schedules
problem-no-letters = A user for programs gets no letters.
archive = Archive
archive-hint = Where the operator has an archive, old positions move there out of the database. Pages show both alike.
archive-none = Nothing is in the archive.
archive-days = In the archive
archive-from-to = { $count ->
    [one] 1 day, { $first }
   *[other] { $count } days, { $first } to { $last }
}
archive-live = In the database from
archive-fixes = Positions in the archive
archive-size = Size
archive-megabytes = { $size } MB
archive-moved = Moved last
archive-failed = { $count ->
    [one] 1 day could not be moved into the archive ({ $at }): { $day }. It stays in the database, and is tried again every hour; if this lasts, tell the operator.
   *[other] { $count } days could not be moved into the archive ({ $at }), the newest { $day }. They stay in the database, and are tried again every hour; if this lasts, tell the operator.
}
